with

customers as (
    select
        {{ as_of_date() }} as build,
        *
    from {{ ref('int_customer_value') }}
    where purchase_days > 0
),

cut_points as (
    select
        {{ as_of_date() }} as build,
        measure,
        currency,
        cut,
        value
    from {{ ref('rfm_cut_points') }}
),

{{ rfm_segmented('customers', 'cut_points') }}

select
    customer_id,
    build as as_of_date,
    recency_days,
    window_purchase_days as purchase_days,
    window_net_revenue_amount as net_revenue_amount,
    currency,
    cast(r_score as bigint) as r_score,
    cast(f_score as bigint) as f_score,
    cast(m_score as bigint) as m_score,
    fm_score,
    segment
from segmented
