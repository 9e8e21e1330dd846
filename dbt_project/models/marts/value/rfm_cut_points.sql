with

customers as (
    select
        {{ as_of_date() }} as build,
        *
    from {{ ref('int_customer_value') }}
),

builds as (
    select {{ as_of_date() }} as build
),

{{ rfm_cut_points_of('customers', 'builds') }}

select
    build as as_of_date,
    measure,
    currency,
    cast(cut as bigint) as cut,
    value,
    mode
from cut_points
