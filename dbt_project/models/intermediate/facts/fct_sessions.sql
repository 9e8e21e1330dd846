with

events as (
    select
        assignments.customer_id,
        events.source,
        events.record_id,
        events.occurred_at,
        events.channel,
        events.event_name,
        events.campaign,
        -- Without a customer the device stands for the person; without a device, what the source calls a session.
        coalesce(
            assignments.customer_id,
            events.device_id,
            events.identity_key,
            events.source || ':' || events.session_id,
            events.record_id
        ) as visitor
    from {{ ref('stg_app_events') }} as events
    left join {{ source('identity', 'assignments') }} as assignments
        on events.identity_key = assignments.identity_key
),

preceded as (
    select
        *,
        lag(occurred_at) over (partition by visitor order by occurred_at asc, record_id asc) as previous_at
    from events
),

starts as (
    select
        *,
        case
            when previous_at is null then 1
            when {{ seconds_between('previous_at', 'occurred_at') }} > {{ var('session_gap_minutes') * 60 }} then 1
            else 0
        end as is_start
    from preceded
),

numbered as (
    select
        *,
        sum(is_start) over (
            partition by visitor
            order by occurred_at asc, record_id asc
            rows between unbounded preceding and current row
        ) as session_number
    from starts
),

sessions as (
    select
        customer_id,
        max(case when is_start = 1 then record_id end) as record_id,
        max(case when is_start = 1 then source end) as source,
        max(case when is_start = 1 then channel end) as channel,
        max(case when is_start = 1 then campaign end) as entry_campaign,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        count(*) as events,
        sum(case when event_name = 'product_view' then 1 else 0 end) as product_views,
        sum(case when event_name = 'add_to_cart' then 1 else 0 end) as carts,
        sum(case when event_name = 'checkout' then 1 else 0 end) as checkouts,
        sum(case when event_name = 'purchase' then 1 else 0 end) as purchases,
        sum(case when event_name = 'referral' then 1 else 0 end) as referrals
    from numbered
    group by customer_id, visitor, session_number
)

select
    md5(record_id) as session_id,
    record_id,
    customer_id,
    channel,
    source,
    started_at,
    ended_at,
    {{ business_date('started_at') }} as session_date,
    cast(events as bigint) as events,
    cast(product_views as bigint) as product_views,
    cast(carts as bigint) as carts,
    cast(checkouts as bigint) as checkouts,
    cast(purchases as bigint) as purchases,
    cast(referrals as bigint) as referrals,
    entry_campaign
from sessions
