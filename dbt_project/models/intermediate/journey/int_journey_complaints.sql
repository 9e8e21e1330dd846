with

calls as (
    select
        customer_id,
        call_date,
        coalesce(is_resolved, false) as is_resolution,
        -- A call that nobody asked about its resolution is no proof of an open complaint.
        coalesce(is_complaint, false) and not coalesce(is_resolved, true) as is_open_complaint,
        -- Resolutions first: one at the same moment is not later than the complaint.
        sum(case when is_resolved then 1 else 0 end) over (
            partition by customer_id
            order by
                started_at asc nulls last,
                coalesce(is_resolved, false) desc,
                record_id asc nulls last
            rows between unbounded preceding and current row
        ) as resolutions_so_far
    from {{ ref('fct_calls') }}
    where customer_id is not null
),

-- A resolution closes every complaint since the resolution before it.
spells as (
    select
        customer_id,
        resolutions_so_far,
        min(case when is_open_complaint then call_date end) as opened_date,
        max(case when is_resolution then call_date end) as began_date
    from calls
    group by customer_id, resolutions_so_far
),

closed as (
    select
        customer_id,
        opened_date,
        lead(began_date) over (
            partition by customer_id
            order by resolutions_so_far asc nulls last
        ) as resolved_date
    from spells
)

select
    customer_id,
    opened_date,
    resolved_date
from closed
where
    opened_date is not null
    and (resolved_date is null or resolved_date > opened_date)
