{#-
  RFM in one place: scoring of today, of the ends of past months and of what would have been otherwise follow the same
  text. A relation of values has one row per customer and build (column `build`: whatever tells one scoring from
  another), with currency, recency_days, window_purchase_days and window_net_revenue_amount.
-#}

{#-
  CTEs up to `cut_points` (build, measure, currency, cut, value, mode): the cut points of each build of `builds`, over
  its customers with a purchase in the window. Inverse empirical distribution: the least value that at least cut / 5 of
  the customers do not exceed. Whole numbers are compared, because a quotient such as 3 / 5 is not exact in floating
  point.
-#}
{% macro rfm_cut_points_of(values, builds) -%}
{%- set mode = var('rfm_cut_points_mode') -%}
{%- set bands = var('rfm_frequency_bands') -%}
{%- if mode not in ('computed', 'frequency_bands', 'fixed') -%}
    {{ exceptions.raise_compiler_error("rfm_cut_points_mode is " ~ mode ~ ", may be computed, frequency_bands or fixed") }}
{%- endif -%}
{%- if bands | length != 4 -%}
    {{ exceptions.raise_compiler_error("rfm_frequency_bands needs four cut points, has " ~ bands) }}
{%- endif -%}
measured as (
    select
        build,
        'recency' as measure,
        cast(null as string) as currency,
        cast(recency_days as decimal(18, 2)) as value
    from {{ values }}
    where window_purchase_days > 0

    union all

    select
        build,
        'frequency' as measure,
        cast(null as string) as currency,
        cast(window_purchase_days as decimal(18, 2)) as value
    from {{ values }}
    where window_purchase_days > 0

    union all

    select
        build,
        'monetary' as measure,
        currency,
        window_net_revenue_amount as value
    from {{ values }}
    where window_purchase_days > 0
),

counted as (
    select
        build,
        measure,
        currency,
        value,
        count(*) as customers
    from measured
    group by build, measure, currency, value
),

cumulated as (
    select
        build,
        measure,
        currency,
        value,
        sum(customers) over (
            partition by build, measure, currency
            order by value asc nulls last
            rows between unbounded preceding and current row
        ) as customers_up_to_value,
        sum(customers) over (partition by build, measure, currency) as all_customers
    from counted
),

cuts as (
    {% for cut in range(1, 5) -%}
    select {{ cut }} as cut
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

computed as (
    select
        cumulated.build,
        cumulated.measure,
        cumulated.currency,
        cuts.cut,
        min(cumulated.value) as value
    from cumulated
    inner join cuts on cumulated.customers_up_to_value * 5 >= cuts.cut * cumulated.all_customers
    group by cumulated.build, cumulated.measure, cumulated.currency, cuts.cut
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

cut_points as (
    select
        build,
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
        builds.build,
        bands.measure,
        bands.currency,
        bands.cut,
        cast(bands.value as decimal(18, 2)) as value,
        'fixed' as mode
    from bands
    cross join {{ builds }} as builds
    where '{{ mode }}' = 'frequency_bands'

    union all

    select
        builds.build,
        fixed.measure,
        fixed.currency,
        fixed.cut,
        cast(fixed.value as decimal(18, 2)) as value,
        'fixed' as mode
    from {{ ref('rfm_fixed_cut_points') }} as fixed
    cross join {{ builds }} as builds
    where '{{ mode }}' = 'fixed'
)
{%- endmacro %}

{#-
  CTEs up to `segmented`: all columns of `values`, the scores and the segment, by the cut points `cut_points` of the same
  build. A comparison with a missing cut point is null, and so is the score: a gap in pinned cut points shows.
-#}
{% macro rfm_segmented(values, cut_points) -%}
pivoted as (
    select
        {% for cut in range(1, 5) -%}
        max(case when cut = {{ cut }} then value end) as cut_{{ cut }},
        {% endfor -%}
        build,
        measure,
        currency
    from {{ cut_points }}
    group by build, measure, currency
),

scored as (
    select
        valued.*,
        case
            when valued.window_purchase_days > 0
                then
                    1
                    {%- for cut in range(1, 5) %}
                    + cast(recency.cut_{{ cut }} > valued.recency_days as bigint)
                    {%- endfor %}
        end as r_score,
        case
            when valued.window_purchase_days > 0
                then
                    1
                    {%- for cut in range(1, 5) %}
                    + cast(frequency.cut_{{ cut }} < valued.window_purchase_days as bigint)
                    {%- endfor %}
        end as f_score,
        case
            when valued.window_purchase_days > 0
                then
                    1
                    {%- for cut in range(1, 5) %}
                    + cast(monetary.cut_{{ cut }} < valued.window_net_revenue_amount as bigint)
                    {%- endfor %}
        end as m_score
    from {{ values }} as valued
    left join pivoted as recency
        on
            valued.build = recency.build
            and recency.measure = 'recency'
    left join pivoted as frequency
        on
            valued.build = frequency.build
            and frequency.measure = 'frequency'
    left join pivoted as monetary
        on
            valued.build = monetary.build
            and monetary.measure = 'monetary'
            and valued.currency = monetary.currency
),

combined as (
    select
        scored.*,
        -- Halves are rounded up.
        cast(floor((f_score + m_score + 1) / 2.0) as bigint) as fm_score
    from scored
),

segmented as (
    select
        combined.*,
        case when combined.window_purchase_days > 0 then grid.segment else 'Lapsed' end as segment
    from combined
    left join {{ ref('rfm_segment_grid') }} as grid
        on
            combined.r_score = grid.r_score
            and combined.fm_score = grid.fm_score
)
{%- endmacro %}

{#- The end (DATE) of the last complete month, or of the one so many months before it; as_of itself where it ends one. -#}
{% macro last_month_end(months_before=0) -%}
{%- set next_start = "date_trunc('month', " ~ add_days(as_of_date(), 1) ~ ")" -%}
{{ add_days("cast(" ~ next_start ~ " - interval '" ~ months_before ~ "' month as date)", -1) }}
{%- endmacro %}
