{{ config(
    materialized='incremental',
    incremental_strategy='append',
    post_hook='{{ remember_contents() }}'
) }}

select
    source,
    record_id,
    visit_id,
    store_id,
    store_type,
    entered_at,
    exited_at,
    occurred_date as visit_date,
    is_ping,
    device_id,
    identity_key
from {{ rows_of_step(ref('stg_store_visits'), increment_of(increment_plan(), 'store_visits')) }}
