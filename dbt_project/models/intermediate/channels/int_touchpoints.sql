{{ config(materialized='view') }}

select
    customer_id,
    ordered_at as occurred_at,
    order_date as occurred_date,
    channel,
    case when is_return then 'return' else 'order' end as touchpoint_type,
    source,
    record_id,
    net_amount as amount,
    currency
from {{ ref('fct_orders') }}

union all

select
    customer_id,
    started_at as occurred_at,
    session_date as occurred_date,
    channel,
    'session' as touchpoint_type,
    source,
    record_id,
    cast(null as decimal(18, 2)) as amount,
    cast(null as string) as currency
from {{ ref('fct_sessions') }}

union all

-- A sensor's own sightings are nobody's visit; an identified record that happens to name one still is.
select
    customer_id,
    entered_at as occurred_at,
    visit_date as occurred_date,
    'store' as channel,
    'store_visit' as touchpoint_type,
    source,
    record_id,
    cast(null as decimal(18, 2)) as amount,
    cast(null as string) as currency
from {{ ref('fct_store_visits') }}
where not is_infrastructure or customer_id is not null

union all

select
    customer_id,
    started_at as occurred_at,
    call_date as occurred_date,
    'hotline' as channel,
    'call' as touchpoint_type,
    source,
    record_id,
    cast(null as decimal(18, 2)) as amount,
    cast(null as string) as currency
from {{ ref('fct_calls') }}
