{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='as_of_date',
        on_schema_change='fail',
        full_refresh=false
    )
}}
with

this_day as (
    select
        identity_key,
        customer_id
    from {{ ref('int_purchase_owners') }}
),

{{ day_log('this_day', 'identity_key', ['customer_id']) }}

{{ day_log_lines('identity_key', ['customer_id']) }}
