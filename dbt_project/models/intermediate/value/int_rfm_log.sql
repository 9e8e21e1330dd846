{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='as_of_date',
        on_schema_change='fail',
        full_refresh=false
    )
}}
{%- set told = ['currency', 'segment', 'last_purchase_date', 'window_purchase_days', 'window_net_revenue_amount'] -%}
with

this_day as (
    select
        rfm.customer_id,
        valued.currency,
        rfm.segment,
        valued.last_purchase_date,
        valued.window_purchase_days,
        valued.window_net_revenue_amount
    from {{ ref('customer_rfm') }} as rfm
    inner join {{ ref('int_customer_value') }} as valued on rfm.customer_id = valued.customer_id
),

{{ day_log('this_day', 'customer_id', told) }}

{{ day_log_lines('customer_id', told) }}
