with

-- The ends of the last complete months, as_of included where it is one.
month_ends as (
    {% for month in range(var('rfm_migration_months') + 1) -%}
    select {{ last_month_end(month) }} as build
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

window_days as (
    select
        build,
        {{ explode(days_from_to(add_days('build', 1 - var('rfm_window_days')), 'build')) }} as day
    from month_ends
),

customer_days as (
    select
        customer_id,
        order_date as day,
        currency,
        net_amount,
        0 as purchase_days
    from {{ ref('fct_orders') }}
    where customer_id is not null

    union all

    select
        customer_id,
        purchase_date as day,
        currency,
        cast(0 as decimal(18, 2)) as net_amount,
        1 as purchase_days
    from {{ ref('int_customer_purchase_days') }}
),

in_window as (
    select
        window_days.build,
        customer_days.customer_id,
        max(customer_days.currency) as currency,
        sum(customer_days.purchase_days) as window_purchase_days,
        max(case when customer_days.purchase_days = 1 then customer_days.day end) as last_purchase_date,
        coalesce(sum(customer_days.net_amount), 0) as window_net_revenue_amount
    from customer_days
    inner join window_days on customer_days.day = window_days.day
    group by window_days.build, customer_days.customer_id
),

first_purchases as (
    select
        customer_id,
        min(purchase_date) as first_purchase_date
    from {{ ref('int_customer_purchase_days') }}
    group by customer_id
),

customers as (
    select
        month_ends.build,
        first_purchases.customer_id,
        in_window.currency,
        {{ days_between('in_window.last_purchase_date', 'month_ends.build') }} as recency_days,
        cast(coalesce(in_window.window_purchase_days, 0) as bigint) as window_purchase_days,
        cast(in_window.window_net_revenue_amount as decimal(18, 2)) as window_net_revenue_amount
    from first_purchases
    inner join month_ends on first_purchases.first_purchase_date <= month_ends.build
    left join in_window
        on
            first_purchases.customer_id = in_window.customer_id
            and month_ends.build = in_window.build
),

{{ rfm_cut_points_of('customers', 'month_ends') }},

{{ rfm_segmented('customers', 'cut_points') }}

select
    build as month_end_date,
    customer_id,
    window_purchase_days as purchase_days,
    segment
from segmented
