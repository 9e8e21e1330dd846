with

customers as (
    select
        channel,
        customer_id,
        count(*) as touchpoints
    from {{ ref('int_touchpoints') }}
    group by channel, customer_id
),

channels as (
    select
        channel,
        sum(touchpoints) as touchpoints,
        count(customer_id) as customers,
        sum(case when customer_id is null then touchpoints else 0 end) as anonymous_touchpoints
    from customers
    group by channel
),

sessions as (
    select
        channel,
        count(*) as sessions,
        sum(events) as events
    from {{ ref('fct_sessions') }}
    group by channel
),

visits as (
    select
        'store' as channel,
        count(*) as visits,
        {{ exact_mean('dwell_seconds') }} as mean_dwell_seconds
    from {{ ref('fct_store_visits') }}
    where not is_infrastructure or customer_id is not null
)

select
    {{ as_of_date() }} as as_of_date,
    channels.channel,
    cast(channels.touchpoints as bigint) as touchpoints,
    cast(channels.customers as bigint) as customers,
    cast(channels.anonymous_touchpoints as bigint) as anonymous_touchpoints,

    coalesce(orders.orders, 0) as orders,
    coalesce(orders.net_revenue_amount, cast(0 as decimal(18, 2))) as net_revenue_amount,
    orders.currency,
    coalesce(orders.unconverted_orders, 0) as unconverted_orders,
    coalesce(orders.returned_orders, 0) as returned_orders,
    cast(orders.returned_orders as double) / nullif(orders.orders, 0) as return_rate,

    cast(coalesce(sessions.sessions, 0) as bigint) as sessions,
    cast(coalesce(sessions.events, 0) as bigint) as events,
    cast(coalesce(visits.visits, 0) as bigint) as visits,
    visits.mean_dwell_seconds,

    coalesce(hotline.calls, 0) as calls,
    hotline.identified_calls,
    hotline.offered_calls,
    hotline.answered_calls,
    hotline.abandoned_calls,
    hotline.short_abandons,
    hotline.abandon_rate_queued,
    hotline.abandon_rate_offered_excl_short,
    hotline.asa_seconds,
    hotline.asa_waited_seconds,
    hotline.service_level_rate,
    hotline.service_level_rate >= {{ var('service_level_target') }} as is_service_level_met,
    hotline.aht_seconds,
    hotline.excluded_handles,
    hotline.fcr_known_calls,
    hotline.fcr_rate,
    hotline.repeat_contacts,
    hotline.repeat_contact_rate,
    hotline.complaints,
    hotline.mean_satisfaction_score
from channels
left join {{ ref('int_channel_orders') }} as orders
    on channels.channel = orders.channel
left join sessions
    on channels.channel = sessions.channel
left join visits
    on channels.channel = visits.channel
left join {{ ref('int_hotline_service') }} as hotline
    on channels.channel = hotline.channel
