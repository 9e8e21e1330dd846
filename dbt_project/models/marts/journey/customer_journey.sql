select
    customer_id,
    {{ as_of_date() }} as as_of_date,
    stage,
    valid_from_date as since_date,
    duration_days as days_in_stage,
    reason_code,
    reason,
    evidence_id
from {{ ref('customer_journey_history') }}
where valid_to_date is null
