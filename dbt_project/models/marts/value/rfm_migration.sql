with

months as (
    select distinct
        month_end_date,
        {{ add_days("cast(date_trunc('month', month_end_date) as date)", -1) }} as former_month_end_date
    from {{ ref('int_rfm_month_ends') }}
    -- Of the month before the first one nobody knows where its customers had been.
    where month_end_date > {{ last_month_end(var('rfm_migration_months')) }}
),

-- Who bought for the first time in the month comes from No Purchase; nobody goes back there.
moves as (
    select
        months.month_end_date,
        coalesce(former.segment, 'No Purchase') as from_segment,
        present.segment as to_segment,
        count(*) as customers
    from months
    inner join {{ ref('int_rfm_month_ends') }} as present on months.month_end_date = present.month_end_date
    left join {{ ref('int_rfm_month_ends') }} as former
        on
            months.former_month_end_date = former.month_end_date
            and present.customer_id = former.customer_id
    group by months.month_end_date, coalesce(former.segment, 'No Purchase'), present.segment
)

select
    {{ as_of_date() }} as as_of_date,
    month_end_date,
    from_segment,
    to_segment,
    cast(customers as bigint) as customers,
    cast(sum(customers) over (partition by month_end_date, from_segment) as bigint) as from_customers,
    cast(customers as double) / sum(customers) over (partition by month_end_date, from_segment) as from_share
from moves
