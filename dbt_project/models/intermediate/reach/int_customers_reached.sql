{{ config(
    materialized='incremental',
    unique_key=['reached_type', 'reached_id'],
    incremental_strategy='delete+insert',
    pre_hook='{{ find_moved_assignments() }}',
    post_hook=['{{ remember_assignments() }}', '{{ remember_contents() }}']
) }}
{%- set plan = increment_plan() -%}
{%- set assignments = source('identity', 'assignments') -%}
{%- set parts = ref('int_order_parts') -%}
{%- set lines = rows_of_step(ref('stg_transactions'), increment_of(plan, 'transactions')) -%}
{%- set records = [
    rows_of_step(ref('stg_app_events'), increment_of(plan, 'app_events')),
    rows_of_step(ref('stg_store_visits'), increment_of(plan, 'store_visits')),
    rows_of_step(ref('stg_hotline_calls'), increment_of(plan, 'hotline_calls'))
] -%}

{% if is_incremental() -%}
with

-- Whoever is somebody else than at the last build reaches both: the former customer has lost something.
moved as (
    select
        identity_key,
        customer_id,
        former_customer_id
    from {{ moved_assignments() }}
),

-- An order has one customer, whatever identifiers its lines carry: a new line or another owner of one settles it anew.
orders as (
    select
        source,
        order_id
    from {{ lines }}

    union

    select
        parts.source,
        parts.order_id
    from {{ parts }} as parts
    inner join moved on parts.identity_key = moved.identity_key
),

identity_keys as (
    {%- for rows in records %}
    select identity_key
    from {{ rows }}

    union
    {% endfor %}
    select parts.identity_key
    from {{ parts }} as parts
    inner join orders
        on
            parts.source = orders.source
            and parts.order_id = orders.order_id
),

customers as (
    select assignments.customer_id
    from identity_keys
    inner join {{ assignments }} as assignments on identity_keys.identity_key = assignments.identity_key

    union

    select customer_id
    from moved

    union

    select former_customer_id as customer_id
    from moved
),

build as (
    select
        reached_id,
        build + 1 as build
    from {{ this }}
    where reached_type = 'build'
)

select
    'customer' as reached_type,
    customers.customer_id as reached_id,
    build.build
from customers
cross join build
where customers.customer_id is not null

union all

select
    'order' as reached_type,
    orders.source || ':' || orders.order_id as reached_id,
    build.build
from orders
cross join build

union all

select
    'build' as reached_type,
    build.reached_id,
    build.build
from build
{%- else -%}
-- All is made in full, and counted from here.
select
    'build' as reached_type,
    '{{ era_of_builds() }}' as reached_id,
    cast(1 as bigint) as build
{%- endif %}
