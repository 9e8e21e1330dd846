with

stores as (
    select
        device_id,
        store_id,
        max(visit_date) as last_seen_date
    from {{ ref('int_visit_records') }}
    where device_id is not null
    group by device_id, store_id
),

-- The window ends when the device was last seen, not at as_of: a sensor that was taken down a year ago
-- must not turn into a person because time has passed.
devices as (
    select
        device_id,
        max(last_seen_date) as last_seen_date
    from stores
    group by device_id
)

select
    devices.device_id,
    devices.last_seen_date,
    count(*) as stores
from devices
inner join stores
    on
        devices.device_id = stores.device_id
        and {{ days_between('stores.last_seen_date', 'devices.last_seen_date') }}
        < {{ var('infrastructure_window_days') }}
group by devices.device_id, devices.last_seen_date
having count(*) >= {{ var('infrastructure_stores') }}
