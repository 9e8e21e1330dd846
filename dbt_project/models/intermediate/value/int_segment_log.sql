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
        customer_id,
        segment
    from {{ ref('customer_rfm') }}
)

{%- if is_incremental() %},

other_days as (
    select
        as_of_date,
        customer_id,
        segment
    from {{ this }}
    where as_of_date <> {{ as_of_date() }}
),

-- A day in the past may be run again, or for the first time: what the next day says is then told anew too, as its
-- difference from this one.
next_day as (
    select min(as_of_date) as as_of_date
    from other_days
    where as_of_date > {{ as_of_date() }}
),

-- The log as it stands, this day's former lines included: the state of the next day rests on them.
lines as (
    select
        log.customer_id,
        log.segment,
        row_number() over (partition by log.customer_id order by log.as_of_date desc) as place
    from {{ this }} as log
    where
        log.customer_id is not null
        and log.as_of_date <= (select next_day.as_of_date from next_day)
),

at_next_day as (
    select
        customer_id,
        segment
    from lines
    where
        place = 1
        and segment is not null
),

earlier_lines as (
    select
        customer_id,
        segment,
        row_number() over (partition by customer_id order by as_of_date desc) as place
    from other_days
    where
        customer_id is not null
        and as_of_date < {{ as_of_date() }}
),

at_last_day as (
    select
        customer_id,
        segment
    from earlier_lines
    where
        place = 1
        and segment is not null
)
{%- endif %}

-- The line without a customer says that the day was run, even where nothing changed.
select
    {{ as_of_date() }} as as_of_date,
    cast(null as string) as customer_id,
    cast(null as string) as segment

union all

{% if is_incremental() -%}
select
    {{ as_of_date() }} as as_of_date,
    coalesce(this_day.customer_id, at_last_day.customer_id) as customer_id,
    this_day.segment
from this_day
full outer join at_last_day on this_day.customer_id = at_last_day.customer_id
where coalesce(this_day.segment, '') <> coalesce(at_last_day.segment, '')

union all

select
    next_day.as_of_date,
    cast(null as string) as customer_id,
    cast(null as string) as segment
from next_day
where next_day.as_of_date is not null

union all

select
    next_day.as_of_date,
    coalesce(at_next_day.customer_id, this_day.customer_id) as customer_id,
    at_next_day.segment
from at_next_day
full outer join this_day on at_next_day.customer_id = this_day.customer_id
inner join next_day on next_day.as_of_date is not null
where coalesce(at_next_day.segment, '') <> coalesce(this_day.segment, '')
{%- else -%}
select
    {{ as_of_date() }} as as_of_date,
    customer_id,
    segment
from this_day
{%- endif %}
