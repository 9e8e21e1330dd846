-- Whether an order counts is asked of its own currency: a missing rate hides an amount, not a purchase.
select
    customer_id,
    order_date as purchase_date,
    count(*) as orders,
    cast(sum(net_amount) as decimal(18, 2)) as net_amount,
    currency
from {{ ref('fct_orders') }}
where
    customer_id is not null
    and order_net_amount > 0
group by customer_id, order_date, currency
