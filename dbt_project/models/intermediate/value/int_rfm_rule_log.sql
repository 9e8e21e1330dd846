{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='as_of_date',
        on_schema_change='fail',
        full_refresh=false
    )
}}

select
    as_of_date,
    measure,
    currency,
    cut,
    value,
    mode
from {{ ref('rfm_cut_points') }}

union all

-- The length of the window stands among the rules, and says that the day was run.
select
    {{ as_of_date() }} as as_of_date,
    'window' as measure,
    cast(null as string) as currency,
    cast(null as bigint) as cut,
    cast({{ var('rfm_window_days') }} as decimal(18, 2)) as value,
    cast(null as string) as mode
