select
    valued.customer_id,
    {{ as_of_date() }} as as_of_date,
    valued.net_revenue_amount as historic_clv_amount,
    predicted.predicted_clv_amount,
    predicted.predicted_clv_low_amount,
    predicted.predicted_clv_high_amount,
    predicted.predicted_orders_30,
    predicted.predicted_orders_90,
    predicted.predicted_orders_365,
    predicted.predicted_clv_30_amount,
    predicted.predicted_clv_90_amount,
    predicted.predicted_clv_365_amount,
    cast(
        valued.net_revenue_amount + coalesce(predicted.predicted_clv_amount, 0) as decimal(18, 2)
    ) as total_clv_amount,
    cast(
        valued.net_revenue_amount * coalesce(margins.margin_rate, predicted.margin_setting) as decimal(18, 2)
    ) as historic_margin_amount,
    cast(
        predicted.predicted_net_revenue_amount * coalesce(margins.margin_rate, predicted.margin_setting)
        as decimal(18, 2)
    ) as predicted_margin_amount,
    coalesce(margins.margin_rate, predicted.margin_setting) as margin_rate,
    coalesce(margins.margin_source, case when predicted.margin_setting is not null then 'setting' end) as margin_source,
    valued.purchase_days as historic_orders,
    predicted.predicted_orders,
    predicted.predicted_orders_low,
    predicted.predicted_orders_high,
    predicted.likely_orders_low,
    predicted.likely_orders_high,
    cast({{ days_between('orders.first_purchase_date', 'orders.last_purchase_date') }} as double)
    / nullif(valued.purchase_days - 1, 0) as average_days_between_orders,
    orders.average_order_value_amount,
    predicted.expected_order_value_amount,
    predicted.p_alive,
    predicted.p_buy_30,
    predicted.p_buy_90,
    predicted.p_buy_365,
    1 - predicted.p_buy_365 as churn_risk,
    predicted.expected_next_order_date,
    predicted.horizon_days,
    valued.currency,
    coalesce(predicted.model, 'historic') as model,
    predicted.propensity_model,
    predicted.spend_model,
    coalesce(predicted.fit_status, 'not_fitted') as fit_status,
    case
        when predicted.customer_id is null
            then 'no_value_run: the value run of this build knows nothing of the customer'
        else predicted.fallback_reason
    end as fallback_reason
from {{ ref('int_customer_value') }} as valued
left join {{ ref('int_customer_orders') }} as orders
    on valued.customer_id = orders.customer_id
left join {{ ref('int_customer_predictions') }} as predicted
    on valued.customer_id = predicted.customer_id
left join {{ ref('int_customer_margins') }} as margins
    on valued.customer_id = margins.customer_id
where valued.purchase_days > 0
