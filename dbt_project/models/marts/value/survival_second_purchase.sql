{%- set z = 1.959963984540054 -%}
with

numbered as (
    select
        customer_id,
        purchase_date,
        row_number() over (partition by customer_id order by purchase_date asc nulls last) as place
    from {{ ref('int_customer_purchase_days') }}
),

spans as (
    select
        customer_id,
        min(purchase_date) as first_date,
        max(case when place = 2 then purchase_date end) as second_date
    from numbered
    where place <= 2
    group by customer_id
),

-- Who has not come back by as_of is known to have stayed away so long, and no longer.
durations as (
    select
        {{ days_between('first_date', 'coalesce(second_date, ' ~ as_of_date() ~ ')') }} as days,
        case when second_date is null then 0 else 1 end as event
    from spans
),

by_days as (
    select
        days,
        count(*) as leaving,
        sum(event) as events
    from durations
    group by days
),

-- At risk on a day: whose wait was as long or longer; those who were last seen on the day itself are still in it.
at_risk as (
    select
        days,
        events,
        leaving - events as censored,
        sum(leaving) over (
            order by days desc nulls last
            rows between unbounded preceding and current row
        ) as customers_at_risk
    from by_days
),

-- Terms of the product limit and of Greenwood's sum, as exact decimals: their sums do not depend on an order.
terms as (
    select
        *,
        case
            when events < customers_at_risk
                then cast(ln(1 - cast(events as double) / customers_at_risk) as decimal(38, 18))
        end as log_term,
        case
            when events < customers_at_risk
                then
                    cast(
                        cast(events as double)
                        / customers_at_risk
                        / (customers_at_risk - events) as decimal(38, 18)
                    )
        end as variance_term
    from at_risk
),

products as (
    select
        days,
        customers_at_risk,
        events,
        censored,
        -- Once everybody at risk has come back, nobody is left.
        max(case when events = customers_at_risk then 1 else 0 end) over up_to as is_over,
        cast(sum(log_term) over up_to as double) as log_survival,
        cast(sum(variance_term) over up_to as double) as variance_sum
    from terms
    window up_to as (
        order by days asc nulls last
        rows between unbounded preceding and current row
    )
),

curve as (
    select
        *,
        case when is_over = 1 then 0 else exp(log_survival) end as survival,
        case when is_over = 0 then exp(log_survival) * sqrt(variance_sum) end as standard_error,
        -- On the scale of log(−log S), where the interval stays between 0 and 1.
        case
            when is_over = 0 and log_survival < 0
                then {{ z }} * sqrt(variance_sum) / log_survival
        end as width
    from products
)

select
    {{ as_of_date() }} as as_of_date,
    days as days_since_first_purchase,
    cast(customers_at_risk as bigint) as customers_at_risk,
    cast(events as bigint) as second_purchases,
    cast(censored as bigint) as censored_customers,
    cast(survival as double) as survival_rate,
    1 - cast(survival as double) as repurchased_share,
    standard_error,
    case when is_over = 0 and log_survival = 0 then 1 else exp(log_survival * exp(0 - width)) end as survival_low_rate,
    case when is_over = 0 and log_survival = 0 then 1 else exp(log_survival * exp(width)) end as survival_high_rate
from curve
