{{ go_by_reach() }}
{%- set amounts = ['gross_amount', 'discount_amount', 'return_amount'] -%}

with

-- Lines in another currency than their order are left out of its amounts and counted: unlike money is never added.
orders as (
    select
        identified.customer_id,
        parts.source,
        parts.order_id,
        identified.currency as order_currency,
        min(parts.ordered_at) as ordered_at,
        min(parts.order_date) as order_date,
        min(parts.channel) as channel,
        min(parts.store_id) as store_id,
        min(parts.original_order_id) as original_order_id,
        sum(parts.lines) as lines,
        sum(parts.units) as units,
        {%- for amount in amounts %}
        sum(case when parts.currency = identified.currency then parts.{{ amount }} else 0 end) as {{ amount }},
        {%- endfor %}
        sum(case when parts.currency = identified.currency then parts.net_amount else 0 end) as order_net_amount,
        sum(case when parts.currency = identified.currency then 0 else parts.lines end) as other_currency_lines,
        sum(parts.return_lines) as return_lines
    from {{ ref('int_order_parts') }} as parts
    inner join {{ reached_rows(ref('int_orders_identified')) }} as identified
        on
            parts.source = identified.source
            and parts.order_id = identified.order_id
    group by identified.customer_id, parts.source, parts.order_id, identified.currency
),

priced as (
    select
        orders.*,
        coalesce(customers.currency, {{ reporting_currency() }}, orders.order_currency) as currency
    from orders
    left join {{ ref('int_customer_currencies') }} as customers
        on orders.customer_id = customers.customer_id
),

converted as (
    select
        {%- for amount in amounts %}
        {{ converted_amount('priced.' ~ amount, 'priced.order_currency', 'priced.currency', 'rates.rate') }}
            as converted_{{ amount }},
        {%- endfor %}
        priced.*
    from priced
    left join {{ ref('int_exchange_rates') }} as rates
        on
            priced.order_currency = rates.currency
            and priced.currency = rates.reporting_currency
            and priced.order_date >= rates.valid_from_date
            and priced.order_date < rates.valid_until_date
)

select
    customer_id,
    source,
    order_id,
    source || ':' || order_id as record_id,
    ordered_at,
    order_date,
    channel,
    store_id,
    original_order_id,
    cast(lines as bigint) as lines,
    cast(units as decimal(18, 3)) as units,
    cast(converted_gross_amount as decimal(18, 2)) as gross_amount,
    cast(converted_discount_amount as decimal(18, 2)) as discount_amount,
    cast(converted_return_amount as decimal(18, 2)) as return_amount,
    cast(converted_gross_amount - converted_discount_amount - converted_return_amount as decimal(18, 2)) as net_amount,
    currency,
    cast(order_net_amount as decimal(18, 2)) as order_net_amount,
    order_currency,
    cast(other_currency_lines as bigint) as other_currency_lines,
    return_lines > 0 as has_return,
    return_lines = lines as is_return
from converted
