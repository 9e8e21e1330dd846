{{ config(
    materialized='incremental',
    unique_key=['source', 'order_id'],
    incremental_strategy='delete+insert',
    post_hook='{{ remember_contents() }}'
) }}
{%- set increment = increment_of(increment_plan(), 'transactions') -%}
{%- set firsts = ['ordered_at', 'order_date', 'channel', 'store_id', 'original_order_id'] -%}
{%- set counts = ['lines', 'return_lines'] -%}
{%- set amounts = ['gross_amount', 'discount_amount', 'return_amount', 'net_amount'] -%}

with

lines as (
    select
        source,
        order_id,
        identity_key,
        currency,
        ordered_at,
        occurred_date as order_date,
        channel,
        store_id,
        line_type,
        case when line_type = 'return' then original_order_id end as original_order_id,
        1 as lines,
        case when line_type = 'return' then 1 else 0 end as return_lines,
        case when line_type = 'sale' then coalesce(quantity, 0) else 0 end as units,
        gross_amount,
        coalesce(discount_amount, cast(0 as decimal(18, 2))) as taken_off_amount
    from {{ rows_of_step(ref('stg_transactions'), increment) }}
),

new_parts as (
    select
        source,
        order_id,
        identity_key,
        currency,
        {%- for column in firsts %}
        min({{ column }}) as {{ column }},
        {%- endfor %}
        {%- for column in counts + ['units'] %}
        sum({{ column }}) as {{ column }},
        {%- endfor %}
        sum(case when line_type = 'sale' then gross_amount else 0 end) as gross_amount,
        sum(case when line_type = 'sale' then taken_off_amount else 0 end) as discount_amount,
        sum(case when line_type = 'return' then gross_amount - taken_off_amount else 0 end) as return_amount,
        sum(
            case
                when line_type = 'return' then taken_off_amount - gross_amount
                else gross_amount - taken_off_amount
            end
        ) as net_amount
    from lines
    group by source, order_id, identity_key, currency
),

parts as (
    select
        source,
        order_id,
        identity_key,
        currency,
        {{ (firsts + counts + ['units'] + amounts) | join(',\n        ') }}
    from new_parts
    {% if is_incremental() %}
    union all

    select
        source,
        order_id,
        identity_key,
        currency,
        {{ (firsts + counts + ['units'] + amounts) | join(',\n        ') }}
    from {{ this }}
    where (source, order_id) in (select (new_parts.source, new_parts.order_id) from new_parts)
    {% endif %}
)

select
    source,
    order_id,
    identity_key,
    currency,
    {%- for column in firsts %}
    min({{ column }}) as {{ column }},
    {%- endfor %}
    {%- for column in counts %}
    cast(sum({{ column }}) as bigint) as {{ column }},
    {%- endfor %}
    {%- for column in amounts %}
    cast(sum({{ column }}) as decimal(38, 2)) as {{ column }},
    {%- endfor %}
    cast(sum(units) as decimal(38, 3)) as units
from parts
group by source, order_id, identity_key, currency
