-- Lines of one receipt may carry different identifiers (a card scanned after the first line), and a faulty
-- source may mix currencies in one order: both are settled here, once, for the lines and the orders.
select
    lines.source,
    lines.order_id,
    min(assignments.customer_id) as customer_id,
    min(lines.currency) as currency
from {{ ref('stg_transactions') }} as lines
left join {{ source('identity', 'assignments') }} as assignments
    on lines.identity_key = assignments.identity_key
group by lines.source, lines.order_id
