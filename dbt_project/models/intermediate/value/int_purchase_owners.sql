{{ config(materialized='view') }}

with

keys as (
    select distinct identity_key
    from {{ ref('int_order_parts') }}
    where identity_key is not null
)

select
    keys.identity_key,
    coalesce(assignments.customer_id, '') as customer_id
from keys
left join {{ source('identity', 'assignments') }} as assignments on keys.identity_key = assignments.identity_key
