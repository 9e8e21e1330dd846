{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook='{{ forget_reached() }}',
    post_hook='{{ remember_reached() }}'
) }}
{%- do go_by_reach() -%}

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
