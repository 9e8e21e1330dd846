select
    customers.customer_id,
    {{ as_of_date() }} as as_of_date,
    customers.first_seen_at,
    customers.last_seen_at,
    customers.acquisition_channel,

    profile.email,
    profile.email_masked,
    profile.email_source,
    profile.email_seen_at,
    profile.phone,
    profile.phone_masked,
    profile.phone_source,
    profile.phone_seen_at,
    profile.loyalty_id,
    profile.loyalty_id_masked,
    profile.loyalty_id_source,
    profile.loyalty_id_seen_at,
    coalesce(profile.identifiers, 0) as identifiers,
    coalesce(profile.email_count, 0) as email_count,
    coalesce(profile.phone_count, 0) as phone_count,
    coalesce(profile.loyalty_id_count, 0) as loyalty_id_count,
    coalesce(profile.device_id_count, 0) as device_id_count,
    coalesce(profile.app_user_id_count, 0) as app_user_id_count,
    coalesce(profile.payment_token_count, 0) as payment_token_count,

    coalesce(orders.orders, 0) as orders,
    coalesce(orders.purchase_days, 0) as purchase_days,
    coalesce(orders.net_revenue_amount, cast(0 as decimal(18, 2))) as net_revenue_amount,
    orders.average_order_value_amount,
    coalesce(orders.currency, {{ reporting_currency() }}) as currency,
    coalesce(orders.unconverted_orders, 0) as unconverted_orders,
    orders.first_purchase_date,
    orders.last_purchase_date,
    coalesce(orders.return_orders, 0) as return_orders,
    coalesce(orders.returned_orders, 0) as returned_orders,
    orders.return_rate,

    engagement.sessions,
    engagement.events,
    engagement.visits,
    engagement.dwell_seconds,
    engagement.calls,
    engagement.complaints,
    engagement.mean_satisfaction_score,

    customers.touchpoints,
    customers.app_touchpoints,
    customers.web_touchpoints,
    customers.store_touchpoints,
    customers.hotline_touchpoints,
    customers.other_touchpoints,
    customers.app_share,
    customers.web_share,
    customers.store_share,
    customers.hotline_share,
    customers.other_share,
    customers.primary_channel,
    customers.is_multi_channel,
    customers.is_mostly_online,

    rfm.recency_days,
    rfm.r_score,
    rfm.f_score,
    rfm.m_score,
    rfm.fm_score,
    coalesce(rfm.segment, 'No Purchase') as segment,

    clv.historic_clv_amount,
    clv.predicted_clv_amount,
    clv.predicted_clv_low_amount,
    clv.predicted_clv_high_amount,
    clv.predicted_orders,
    clv.p_alive,
    clv.p_buy_30,
    clv.p_buy_90,
    clv.p_buy_365,
    clv.churn_risk,
    clv.expected_next_order_date,
    clv.model as clv_model,
    clv.fit_status as clv_fit_status,

    journey.stage as journey_stage,
    journey.since_date as journey_since_date
from {{ ref('int_customer_channels') }} as customers
inner join {{ ref('int_customer_engagement') }} as engagement
    on customers.customer_id = engagement.customer_id
left join {{ ref('int_customer_profile') }} as profile
    on customers.customer_id = profile.customer_id
left join {{ ref('int_customer_orders') }} as orders
    on customers.customer_id = orders.customer_id
left join {{ ref('customer_rfm') }} as rfm
    on customers.customer_id = rfm.customer_id
left join {{ ref('customer_clv') }} as clv
    on customers.customer_id = clv.customer_id
left join {{ ref('customer_journey') }} as journey
    on customers.customer_id = journey.customer_id
