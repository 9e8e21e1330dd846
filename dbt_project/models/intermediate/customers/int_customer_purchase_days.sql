with

-- What returns took back of earlier orders of their source, as far as they name them. What an order takes back of
-- itself is in its own amount already.
taken_back as (
    select
        source,
        original_order_id as order_id,
        currency,
        sum(return_amount) as return_amount
    from {{ ref('int_order_parts') }}
    where
        original_order_id is not null
        and original_order_id <> order_id
    group by source, original_order_id, currency
)

-- Whether an order counts is asked of its own currency: a missing rate hides an amount, not a purchase.
select
    orders.customer_id,
    orders.order_date as purchase_date,
    count(*) as orders,
    cast(sum(orders.net_amount) as decimal(18, 2)) as net_amount,
    orders.currency
from {{ ref('fct_orders') }} as orders
left join taken_back
    on
        orders.source = taken_back.source
        and orders.order_id = taken_back.order_id
        and orders.order_currency = taken_back.currency
where
    orders.customer_id is not null
    and orders.order_net_amount > 0
    and orders.order_net_amount > coalesce(taken_back.return_amount, 0)
group by orders.customer_id, orders.order_date, orders.currency
