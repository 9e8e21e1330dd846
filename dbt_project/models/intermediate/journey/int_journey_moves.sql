{{ config(materialized='view') }}

select *
from {{ ref('int_journey_course') }}
where stage_date <= {{ as_of_date() }}
