{{ config(materialized='view') }}

select
    visits.visit_id,
    visits.record_id,
    visits.customer_id,
    visits.device_id,
    visits.source,
    visits.store_id,
    visits.store_type,
    visits.entered_at,
    visits.exited_at,
    visits.visit_date,
    visits.dwell_seconds,
    visits.pings,
    infrastructure.device_id is not null as is_infrastructure
from {{ ref('int_store_visits') }} as visits
left join {{ ref('int_infrastructure_devices') }} as infrastructure
    on visits.device_id = infrastructure.device_id
