{{ config(materialized='view') }}

select distinct
    customer_id,
    order_date as purchase_date
from {{ ref('fct_orders') }}
where
    customer_id is not null
    and order_net_amount > 0
