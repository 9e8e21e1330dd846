{%- set mode = var('rfm_cut_points_mode') -%}
{%- set bands = var('rfm_frequency_bands') -%}
{%- if mode not in ('computed', 'frequency_bands', 'fixed') -%}
    {{ exceptions.raise_compiler_error("rfm_cut_points_mode is " ~ mode ~ ", may be computed, frequency_bands or fixed") }}
{%- endif -%}
{%- if bands | length != 4 -%}
    {{ exceptions.raise_compiler_error("rfm_frequency_bands needs four cut points, has " ~ bands) }}
{%- endif -%}
with

customers as (
    select *
    from {{ ref('int_customer_value') }}
    where window_purchase_days > 0
),

measured as (
    select
        'recency' as measure,
        cast(null as string) as currency,
        cast(recency_days as decimal(18, 2)) as value
    from customers

    union all

    select
        'frequency' as measure,
        cast(null as string) as currency,
        cast(window_purchase_days as decimal(18, 2)) as value
    from customers

    union all

    select
        'monetary' as measure,
        currency,
        window_net_revenue_amount as value
    from customers
),

counted as (
    select
        measure,
        currency,
        value,
        count(*) as customers
    from measured
    group by measure, currency, value
),

cumulated as (
    select
        measure,
        currency,
        value,
        sum(customers) over (
            partition by measure, currency
            order by value asc nulls last
            rows between unbounded preceding and current row
        ) as customers_up_to_value,
        sum(customers) over (partition by measure, currency) as all_customers
    from counted
),

cuts as (
    {% for cut in range(1, 5) -%}
    select {{ cut }} as cut
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

-- Inverse empirical distribution: the least value that at least cut / 5 of the customers do not exceed.
-- Whole numbers are compared, because a quotient such as 3 / 5 is not exact in floating point.
computed as (
    select
        cumulated.measure,
        cumulated.currency,
        cuts.cut,
        min(cumulated.value) as value
    from cumulated
    inner join cuts on cumulated.customers_up_to_value * 5 >= cuts.cut * cumulated.all_customers
    group by cumulated.measure, cumulated.currency, cuts.cut
),

bands as (
    {% for band in bands -%}
    select
        'frequency' as measure,
        cast(null as string) as currency,
        {{ loop.index }} as cut,
        {{ band }} as value
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

chosen as (
    select
        measure,
        currency,
        cut,
        cast(value as decimal(18, 2)) as value,
        'computed' as mode
    from computed
    where
        '{{ mode }}' = 'computed'
        or ('{{ mode }}' = 'frequency_bands' and measure <> 'frequency')

    union all

    select
        measure,
        currency,
        cut,
        cast(value as decimal(18, 2)) as value,
        'fixed' as mode
    from bands
    where '{{ mode }}' = 'frequency_bands'

    union all

    select
        measure,
        currency,
        cut,
        cast(value as decimal(18, 2)) as value,
        'fixed' as mode
    from {{ ref('rfm_fixed_cut_points') }}
    where '{{ mode }}' = 'fixed'
)

select
    {{ as_of_date() }} as as_of_date,
    measure,
    currency,
    cast(cut as bigint) as cut,
    value,
    mode
from chosen
