with

days as (
    select
        month_end_date as window_end_date,
        purchase_days
    from {{ ref('int_rfm_month_ends') }}
    where month_end_date < {{ as_of_date() }}

    union all

    select
        {{ as_of_date() }} as window_end_date,
        window_purchase_days as purchase_days
    from {{ ref('int_customer_value') }}
),

counted as (
    select
        window_end_date,
        sum(case when purchase_days >= 1 then 1 else 0 end) as buyers,
        sum(case when purchase_days >= 2 then 1 else 0 end) as repeat_buyers
    from days
    group by window_end_date
)

select
    {{ as_of_date() }} as as_of_date,
    window_end_date,
    cast(buyers as bigint) as buyers,
    cast(repeat_buyers as bigint) as repeat_buyers,
    cast(repeat_buyers as double) / nullif(buyers, 0) as repurchase_rate
from counted
