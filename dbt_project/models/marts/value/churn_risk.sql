with

-- Who is leaving is said once, by the journey; this list adds what is at stake and what is expected.
leaving as (
    select
        customer_id,
        stage,
        since_date,
        reason_code,
        reason
    from {{ ref('customer_journey') }}
    where stage in ('at_risk', 'dormant')
),

gaps as (
    select
        customer_id,
        {{ days_between('min(purchase_date)', 'max(purchase_date)') }} as days_between_ends,
        count(*) - 1 as gaps
    from {{ ref('int_customer_purchase_days') }}
    group by customer_id
),

listed as (
    select
        leaving.customer_id,
        leaving.stage,
        leaving.since_date,
        valued.currency,
        rfm.segment,
        valued.last_purchase_date,
        valued.recency_days as days_since_purchase,
        cast(gaps.days_between_ends as double) / nullif(gaps.gaps, 0) as expected_gap_days,
        coalesce(clv.predicted_clv_amount, valued.window_net_revenue_amount) as value_at_stake_amount,
        case when clv.predicted_clv_amount is null then 'past_window' else 'predicted' end as value_basis,
        clv.p_alive,
        clv.p_buy_90,
        leaving.reason_code,
        leaving.reason
    from leaving
    inner join {{ ref('int_customer_value') }} as valued on leaving.customer_id = valued.customer_id
    inner join gaps on leaving.customer_id = gaps.customer_id
    left join {{ ref('customer_rfm') }} as rfm on leaving.customer_id = rfm.customer_id
    left join {{ ref('customer_clv') }} as clv on leaving.customer_id = clv.customer_id
)

select
    customer_id,
    {{ as_of_date() }} as as_of_date,
    cast(
        row_number() over (partition by currency order by value_at_stake_amount desc, customer_id asc) as bigint
    ) as risk_rank,
    stage,
    since_date,
    segment,
    last_purchase_date,
    days_since_purchase,
    expected_gap_days,
    days_since_purchase / nullif(expected_gap_days, 0) as overdue_ratio,
    value_at_stake_amount,
    value_basis,
    currency,
    p_alive,
    p_buy_90,
    reason_code,
    reason
from listed
