{{ go_by_reach() }}

with

touchpoint_days as (
    select distinct
        customer_id,
        occurred_date
    from {{ reached_rows(ref('customer_timeline')) }}
),

purchases as (
    select
        customer_id,
        purchase_date,
        -- The purchase day that, counted back from this one, completes the loyal number.
        lag(purchase_date, {{ var('loyalty_purchase_days') - 1 }}) over (
            partition by customer_id
            order by purchase_date asc nulls last
        ) as loyal_since_date
    from {{ reached_rows(ref('int_journey_purchases')) }}
),

sessions as (
    select
        customer_id,
        session_date,
        product_views,
        carts,
        referrals,
        -- The session that, counted back from this one, completes the number that shows interest.
        lag(session_date, {{ var('consideration_sessions') - 1 }}) over (
            partition by customer_id
            order by session_date asc nulls last, session_id asc nulls last
        ) as interested_since_date
    from {{ reached_rows(ref('fct_sessions')) }}
    where customer_id is not null
),

session_days as (
    select
        customer_id,
        session_date,
        max(interested_since_date) as interested_since_date,
        coalesce(max(product_views), 0) > 0 as has_product_view,
        coalesce(max(carts), 0) > 0 as has_cart,
        coalesce(max(referrals), 0) > 0 as has_referral
    from sessions
    group by customer_id, session_date
),

visit_days as (
    select
        customer_id,
        visit_date,
        coalesce(max(dwell_seconds), 0) >= {{ var('consideration_visit_seconds') }} as has_long_visit
    from {{ reached_rows(ref('fct_store_visits')) }}
    where customer_id is not null
    group by customer_id, visit_date
),

enquiry_days as (
    select distinct
        customer_id,
        call_date
    from {{ reached_rows(ref('fct_calls')) }}
    where
        customer_id is not null
        and is_enquiry
)

select
    touchpoint_days.customer_id,
    touchpoint_days.occurred_date as journey_date,
    purchases.purchase_date is not null as has_purchase,
    purchases.loyal_since_date,
    session_days.session_date is not null or visit_days.visit_date is not null as has_activity,
    session_days.interested_since_date,
    coalesce(session_days.has_product_view, false) as has_product_view,
    coalesce(session_days.has_cart, false) as has_cart,
    coalesce(visit_days.has_long_visit, false) as has_long_visit,
    enquiry_days.call_date is not null as has_enquiry,
    coalesce(session_days.has_referral, false) as has_referral
from touchpoint_days
left join purchases
    on
        touchpoint_days.customer_id = purchases.customer_id
        and touchpoint_days.occurred_date = purchases.purchase_date
left join session_days
    on
        touchpoint_days.customer_id = session_days.customer_id
        and touchpoint_days.occurred_date = session_days.session_date
left join visit_days
    on
        touchpoint_days.customer_id = visit_days.customer_id
        and touchpoint_days.occurred_date = visit_days.visit_date
left join enquiry_days
    on
        touchpoint_days.customer_id = enquiry_days.customer_id
        and touchpoint_days.occurred_date = enquiry_days.call_date
