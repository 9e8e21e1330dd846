with

sessions as (
    select
        customer_id,
        count(*) as sessions,
        sum(events) as events
    from {{ ref('fct_sessions') }}
    where customer_id is not null
    group by customer_id
),

visits as (
    select
        customer_id,
        count(*) as visits,
        {{ exact_sum('dwell_seconds') }} as dwell_seconds
    from {{ ref('fct_store_visits') }}
    where customer_id is not null
    group by customer_id
),

calls as (
    select
        customer_id,
        count(*) as calls,
        sum(case when is_complaint then 1 else 0 end) as complaints,
        {{ exact_mean('satisfaction_score') }} as mean_satisfaction_score
    from {{ ref('fct_calls') }}
    where customer_id is not null
    group by customer_id
)

select
    customers.customer_id,
    cast(coalesce(sessions.sessions, 0) as bigint) as sessions,
    cast(coalesce(sessions.events, 0) as bigint) as events,
    cast(coalesce(visits.visits, 0) as bigint) as visits,
    coalesce(visits.dwell_seconds, 0) as dwell_seconds,
    cast(coalesce(calls.calls, 0) as bigint) as calls,
    cast(coalesce(calls.complaints, 0) as bigint) as complaints,
    calls.mean_satisfaction_score
from {{ ref('int_customer_channels') }} as customers
left join sessions
    on customers.customer_id = sessions.customer_id
left join visits
    on customers.customer_id = visits.customer_id
left join calls
    on customers.customer_id = calls.customer_id
