{{ config(materialized='view') }}

with

lines as (
    select
        *,
        coalesce(discount_amount, cast(0 as decimal(18, 2))) as taken_off_amount
    from {{ ref('stg_transactions') }}
)

select
    orders.customer_id,
    lines.source,
    lines.order_id,
    lines.line_id,
    lines.record_id,
    lines.ordered_at,
    lines.occurred_date as order_date,
    lines.channel,
    lines.store_id,
    lines.product_id,
    lines.product_category,
    lines.line_type,
    lines.original_order_id,
    lines.quantity,
    lines.gross_amount,
    lines.taken_off_amount as discount_amount,
    cast(
        case lines.line_type
            when 'return' then lines.taken_off_amount - lines.gross_amount
            else lines.gross_amount - lines.taken_off_amount
        end as decimal(18, 2)
    ) as net_amount,
    lines.currency,
    orders.currency as order_currency
from lines
inner join {{ ref('int_orders_identified') }} as orders
    on
        lines.source = orders.source
        and lines.order_id = orders.order_id
