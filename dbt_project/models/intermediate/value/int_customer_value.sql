{%- set window_start = add_days(as_of_date(), 0 - var('rfm_window_days')) -%}
with

orders as (
    select
        customer_id,
        currency,
        coalesce(sum(net_amount), 0) as net_revenue_amount,
        coalesce(sum(case when order_date > {{ window_start }} then net_amount end), 0) as window_net_revenue_amount,
        count(*) - count(net_amount) as unconverted_orders
    from {{ ref('fct_orders') }}
    where customer_id is not null
    group by customer_id, currency
),

purchases as (
    select
        customer_id,
        count(*) as purchase_days,
        sum(case when purchase_date > {{ window_start }} then 1 else 0 end) as window_purchase_days,
        max(purchase_date) as last_purchase_date
    from {{ ref('int_customer_purchase_days') }}
    group by customer_id
)

select
    orders.customer_id,
    orders.currency,
    cast(orders.net_revenue_amount as decimal(18, 2)) as net_revenue_amount,
    cast(orders.window_net_revenue_amount as decimal(18, 2)) as window_net_revenue_amount,
    cast(orders.unconverted_orders as bigint) as unconverted_orders,
    cast(coalesce(purchases.purchase_days, 0) as bigint) as purchase_days,
    cast(coalesce(purchases.window_purchase_days, 0) as bigint) as window_purchase_days,
    purchases.last_purchase_date,
    {{ days_between('purchases.last_purchase_date', as_of_date()) }} as recency_days
from orders
left join purchases on orders.customer_id = purchases.customer_id
