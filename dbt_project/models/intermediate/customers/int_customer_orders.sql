with

orders as (
    select
        customer_id,
        currency,
        sum(case when is_return then 0 else 1 end) as orders,
        sum(case when is_return then 1 else 0 end) as return_orders,
        -- An order that is taken back in several visits is one returned order.
        count(distinct case when has_return then source || ':' || coalesce(original_order_id, order_id) end)
            as returned_orders,
        sum(case when net_amount is null then 1 else 0 end) as unconverted_orders,
        sum(net_amount) as net_revenue_amount,
        {{ exact_mean('case when not is_return then net_amount end') }} as average_order_value_amount
    from {{ ref('fct_orders') }}
    where customer_id is not null
    group by customer_id, currency
),

days as (
    select
        customer_id,
        count(*) as purchase_days,
        min(purchase_date) as first_purchase_date,
        max(purchase_date) as last_purchase_date
    from {{ ref('int_customer_purchase_days') }}
    group by customer_id
)

select
    orders.customer_id,
    orders.currency,
    cast(orders.orders as bigint) as orders,
    cast(coalesce(days.purchase_days, 0) as bigint) as purchase_days,
    cast(coalesce(orders.net_revenue_amount, 0) as decimal(18, 2)) as net_revenue_amount,
    cast(orders.average_order_value_amount as decimal(18, 2)) as average_order_value_amount,
    days.first_purchase_date,
    days.last_purchase_date,
    cast(orders.return_orders as bigint) as return_orders,
    cast(orders.returned_orders as bigint) as returned_orders,
    cast(orders.returned_orders as double) / nullif(orders.orders, 0) as return_rate,
    cast(orders.unconverted_orders as bigint) as unconverted_orders
from orders
left join days
    on orders.customer_id = days.customer_id
