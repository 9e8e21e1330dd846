select
    customer_id,
    {{ as_of_date() }} as as_of_date,
    net_revenue_amount as historic_clv_amount,
    cast(null as decimal(18, 2)) as predicted_clv_amount,
    cast(null as decimal(18, 2)) as predicted_clv_low_amount,
    cast(null as decimal(18, 2)) as predicted_clv_high_amount,
    net_revenue_amount as total_clv_amount,
    cast(null as double) as predicted_orders,
    cast(null as double) as p_alive,
    cast(null as double) as p_buy_30,
    cast(null as double) as p_buy_90,
    cast(null as double) as p_buy_365,
    cast(null as bigint) as horizon_days,
    currency,
    'historic' as model,
    'not_fitted' as fit_status,
    'this build fits no purchase model, so nothing is predicted' as fallback_reason
from {{ ref('int_customer_value') }}
where purchase_days > 0
