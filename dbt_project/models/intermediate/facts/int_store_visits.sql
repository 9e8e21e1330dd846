{{ go_by_reach() }}

with

records as (
    select
        assignments.customer_id,
        visits.source,
        visits.record_id,
        visits.visit_id,
        visits.store_id,
        visits.store_type,
        visits.entered_at,
        visits.exited_at,
        visits.is_ping,
        visits.device_id,
        coalesce(visits.device_id, visits.identity_key, visits.record_id) as visitor
    from {{ ref('int_visit_records') }} as visits
    left join {{ source('identity', 'assignments') }} as assignments
        on visits.identity_key = assignments.identity_key
),

reached as (
    select * from {{ reached_rows('records') }}
),

-- Sensors report one sighting more than once: the same device, store and moment is one ping.
pings as (
    select
        customer_id,
        source,
        store_id,
        visitor,
        device_id,
        entered_at as started_at,
        entered_at as ended_at,
        min(visit_id) as record_id,
        min(store_type) as store_type
    from reached
    where is_ping
    group by customer_id, source, store_id, visitor, device_id, entered_at
),

{{ joined_spells('pings', 'source, store_id, visitor, customer_id', var('visit_gap_minutes')) }},

visits as (
    select
        customer_id,
        source,
        max(case when is_start = 1 then record_id end) as visit_id,
        device_id,
        store_id,
        max(case when is_start = 1 then store_type end) as store_type,
        min(started_at) as entered_at,
        max(ended_at) as exited_at,
        count(*) as pings
    from numbered
    group by customer_id, source, store_id, visitor, device_id, spell_number

    union all

    select
        customer_id,
        source,
        visit_id,
        device_id,
        store_id,
        store_type,
        entered_at,
        exited_at,
        0 as pings
    from reached
    where not is_ping
)

select
    visit_id,
    source || ':' || visit_id as record_id,
    customer_id,
    device_id,
    source,
    store_id,
    store_type,
    entered_at,
    exited_at,
    {{ business_date('entered_at') }} as visit_date,
    {{ seconds_between('entered_at', 'exited_at') }} as dwell_seconds,
    cast(pings as bigint) as pings
from visits
