{{ go_by_reach() }}

-- Lines of one receipt may carry different identifiers (a card scanned after the first line), and a faulty
-- source may mix currencies in one order: both are settled here, once, for the lines and the orders.
select
    parts.source,
    parts.order_id,
    min(assignments.customer_id) as customer_id,
    min(parts.currency) as currency,
    cast(sum(parts.lines) as bigint) as lines
from {{ reached_rows(ref('int_order_parts')) }} as parts
left join {{ source('identity', 'assignments') }} as assignments
    on parts.identity_key = assignments.identity_key
group by parts.source, parts.order_id
