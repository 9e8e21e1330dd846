{{ config(materialized='view') }}

select
    customer_id,
    stage_date,
    stage,
    previous_stage,
    reason_code,
    patience_days,
    evidence_type,
    evidence_date
from {{ ref('int_journey_course') }}
where stage_date <= {{ as_of_date() }}
