with

span as (
    select min(occurred_date) as first_date
    from {{ ref('int_touchpoints') }}
),

days as (
    select {{ explode(days_from_to('first_date', as_of_date())) }} as date_day
    from span
),

weeks as (
    select
        date_day,
        cast(date_trunc('week', date_day) as date) as week_start_date
    from days
)

select
    {{ as_of_date() }} as as_of_date,
    date_day,
    {{ days_between('week_start_date', 'date_day') }} + 1 as weekday,
    week_start_date,
    cast(date_trunc('month', date_day) as date) as month_start_date,
    cast(date_trunc('quarter', date_day) as date) as quarter_start_date,
    cast(date_trunc('year', date_day) as date) as year_start_date
from weeks
