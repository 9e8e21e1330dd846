with

first_purchases as (
    select
        customer_id,
        cast(date_trunc('month', min(purchase_date)) as date) as cohort_month
    from {{ ref('int_customer_purchase_days') }}
    group by customer_id
),

-- Months as numbers, so that the distance of two is a difference.
active_months as (
    select distinct
        customer_id,
        {{ month_index('purchase_date') }} as month_index
    from {{ ref('int_customer_purchase_days') }}
),

cohorts as (
    select
        cohort_month,
        {{ month_index('cohort_month') }} as cohort_index,
        count(*) as customers
    from first_purchases
    group by cohort_month
),

months as (
    select distinct
        cast(date_trunc('month', day) as date) as activity_month,
        {{ month_index('day') }} as month_index
    from (
        select {{ explode(days_from_to('first_month', as_of_date())) }} as day
        from (select min(cohort_month) as first_month from cohorts) as span
        where first_month is not null
    ) as days
),

active as (
    select
        first_purchases.cohort_month,
        active_months.month_index,
        count(*) as customers
    from first_purchases
    inner join active_months on first_purchases.customer_id = active_months.customer_id
    group by first_purchases.cohort_month, active_months.month_index
),

-- A month that is not over has no share yet: who has not come may still come.
cells as (
    select
        cohorts.cohort_month,
        months.activity_month,
        months.month_index - cohorts.cohort_index as month_number,
        cohorts.customers as cohort_customers,
        months.month_index < {{ month_index(add_days(as_of_date(), 1)) }} as is_complete,
        coalesce(active.customers, 0) as active_customers
    from cohorts
    inner join months on cohorts.cohort_index <= months.month_index
    left join active
        on
            cohorts.cohort_month = active.cohort_month
            and months.month_index = active.month_index
)

select
    {{ as_of_date() }} as as_of_date,
    cohort_month,
    cast(month_number as bigint) as month_number,
    activity_month,
    cast(cohort_customers as bigint) as cohort_customers,
    cast(case when is_complete then active_customers end as bigint) as active_customers,
    case when is_complete then cast(active_customers as double) / cohort_customers end as retention_rate
from cells
