{%- set months = range(var('rfm_migration_months') + 1) -%}
with

-- The ends of the last complete months, as_of included where it is one.
month_ends as (
    {% for month in months -%}
    select
        {{ month }} as months_before,
        {{ last_month_end(month) }} as build
    {{ 'union all' if not loop.last }}
    {% endfor %}
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

-- One pass over the orders with a sum for each window: a row for each order and window would be nine times as many.
summed as (
    select
        customer_id,
        max(currency) as currency,
        {%- for month in months %}
        {%- set in_window -%}
        day > {{ add_days(last_month_end(month), 0 - var('rfm_window_days')) }} and day <= {{ last_month_end(month) }}
        {%- endset %}
        sum(case when {{ in_window }} then purchase_days else 0 end) as purchase_days_{{ month }},
        sum(case when {{ in_window }} then net_amount end) as net_revenue_amount_{{ month }},
        max(case when {{ in_window }} and purchase_days = 1 then day end) as last_purchase_date_{{ month }},
        {%- endfor %}
        min(case when purchase_days = 1 then day end) as first_purchase_date
    from customer_days
    group by customer_id
),

chosen as (
    select
        month_ends.build,
        summed.customer_id,
        summed.currency,
        case month_ends.months_before
            {%- for month in months %}
            when {{ month }} then summed.last_purchase_date_{{ month }}
            {%- endfor %}
        end as last_purchase_date,
        case month_ends.months_before
            {%- for month in months %}
            when {{ month }} then summed.purchase_days_{{ month }}
            {%- endfor %}
        end as window_purchase_days,
        case month_ends.months_before
            {%- for month in months %}
            when {{ month }} then summed.net_revenue_amount_{{ month }}
            {%- endfor %}
        end as window_net_revenue_amount
    from summed
    inner join month_ends on summed.first_purchase_date <= month_ends.build
),

customers as (
    select
        build,
        customer_id,
        currency,
        {{ days_between('last_purchase_date', 'build') }} as recency_days,
        cast(window_purchase_days as bigint) as window_purchase_days,
        cast(coalesce(window_net_revenue_amount, 0) as decimal(18, 2)) as window_net_revenue_amount
    from chosen
),

{{ rfm_cut_points_of('customers', 'month_ends') }},

{{ rfm_segmented('customers', 'cut_points') }}

select
    build as month_end_date,
    customer_id,
    window_purchase_days as purchase_days,
    segment
from segmented
