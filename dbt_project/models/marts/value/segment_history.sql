with

known_days as (
    select
        as_of_date,
        customer_id,
        segment
    from {{ ref('int_segment_log') }}
    where
        customer_id is not null
        and as_of_date <= {{ as_of_date() }}
),

intervals as (
    select
        customer_id,
        segment,
        as_of_date as from_date,
        lead(as_of_date) over (partition by customer_id order by as_of_date) as next_date
    from known_days
),

-- Who was merged into another customer since: their days count for the survivor. An id that names no customer of
-- today is left out.
resolved as (
    select
        customers.customer_id,
        intervals.customer_id as former_id,
        intervals.segment,
        intervals.from_date,
        intervals.next_date
    from intervals
    left join {{ source('identity', 'aliases') }} as aliases on intervals.customer_id = aliases.old_customer_id
    inner join {{ ref('int_customer_channels') }} as customers
        on coalesce(aliases.customer_id, intervals.customer_id) = customers.customer_id
),

days as (
    select distinct
        customer_id,
        from_date
    from resolved
),

-- Of several ids on one day the survivor's own segment counts, and of those merged into it that of the least id.
states as (
    select
        days.customer_id,
        days.from_date,
        resolved.segment,
        row_number() over (
            partition by days.customer_id, days.from_date
            order by
                case when resolved.segment is null then 1 else 0 end asc,
                case when resolved.former_id = days.customer_id then 0 else 1 end asc,
                resolved.former_id asc
        ) as place
    from days
    inner join resolved
        on
            days.customer_id = resolved.customer_id
            and days.from_date >= resolved.from_date
            and (days.from_date < resolved.next_date or resolved.next_date is null)
),

changes as (
    select
        customer_id,
        segment,
        from_date,
        lag(segment) over (partition by customer_id order by from_date) as former_segment
    from states
    where place = 1
),

moves as (
    select
        customer_id,
        segment,
        from_date,
        lead(from_date) over (partition by customer_id order by from_date) as next_date
    from changes
    where coalesce(segment, '') <> coalesce(former_segment, '')
)

select
    customer_id,
    segment,
    from_date as valid_from_date,
    {{ add_days('next_date', -1) }} as valid_to_date,
    {{ days_between('from_date', 'coalesce(next_date, ' ~ add_days(as_of_date(), 1) ~ ')') }} as duration_days
from moves
where segment is not null
