{{ go_by_reach() }}

select
    customer_id,
    occurred_at,
    occurred_date,
    channel,
    touchpoint_type,
    source,
    record_id,
    amount,
    currency
from {{ reached_rows(ref('int_touchpoints')) }}
where customer_id is not null
