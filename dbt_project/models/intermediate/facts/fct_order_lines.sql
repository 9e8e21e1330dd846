select
    orders.customer_id,
    lines.source,
    lines.order_id,
    lines.line_id,
    lines.record_id,
    lines.ordered_at,
    lines.order_date,
    lines.channel,
    lines.store_id,
    lines.product_id,
    lines.product_category,
    lines.line_type,
    lines.original_order_id,
    lines.quantity,
    lines.gross_amount,
    lines.discount_amount,
    cast(
        case lines.line_type
            when 'return' then lines.discount_amount - lines.gross_amount
            else lines.gross_amount - lines.discount_amount
        end as decimal(18, 2)
    ) as net_amount,
    lines.currency,
    orders.currency as order_currency
from (
    select
        source,
        order_id,
        line_id,
        record_id,
        occurred_at as ordered_at,
        occurred_date as order_date,
        channel,
        store_id,
        product_id,
        product_category,
        line_type,
        original_order_id,
        quantity,
        gross_amount,
        coalesce(discount_amount, cast(0 as decimal(18, 2))) as discount_amount,
        currency
    from {{ ref('stg_transactions') }}
) as lines
inner join {{ ref('int_orders_identified') }} as orders
    on
        lines.source = orders.source
        and lines.order_id = orders.order_id
