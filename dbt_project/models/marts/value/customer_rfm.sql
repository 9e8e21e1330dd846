with

customers as (
    select *
    from {{ ref('int_customer_value') }}
    where purchase_days > 0
),

cut_points as (
    select
        {% for cut in range(1, 5) -%}
        max(case when cut = {{ cut }} then value end) as cut_{{ cut }},
        {% endfor -%}
        measure,
        currency
    from {{ ref('rfm_cut_points') }}
    group by measure, currency
),

-- A comparison with a missing cut point is null, and so is the score: a gap in pinned cut points shows.
scored as (
    select
        customers.customer_id,
        1
        {%- for cut in range(1, 5) %}
        + cast(recency.cut_{{ cut }} > customers.recency_days as bigint)
        {%- endfor %} as r_score,
        1
        {%- for cut in range(1, 5) %}
        + cast(frequency.cut_{{ cut }} < customers.window_purchase_days as bigint)
        {%- endfor %} as f_score,
        1
        {%- for cut in range(1, 5) %}
        + cast(monetary.cut_{{ cut }} < customers.window_net_revenue_amount as bigint)
        {%- endfor %} as m_score
    from customers
    left join cut_points as recency on recency.measure = 'recency'
    left join cut_points as frequency on frequency.measure = 'frequency'
    left join cut_points as monetary
        on
            monetary.measure = 'monetary'
            and customers.currency = monetary.currency
    where customers.window_purchase_days > 0
),

combined as (
    select
        customer_id,
        cast(r_score as bigint) as r_score,
        cast(f_score as bigint) as f_score,
        cast(m_score as bigint) as m_score,
        cast(floor((f_score + m_score + 1) / 2.0) as bigint) as fm_score
    from scored
)

select
    customers.customer_id,
    {{ as_of_date() }} as as_of_date,
    customers.recency_days,
    customers.window_purchase_days as purchase_days,
    customers.window_net_revenue_amount as net_revenue_amount,
    customers.currency,
    combined.r_score,
    combined.f_score,
    combined.m_score,
    combined.fm_score,
    case when combined.customer_id is null then 'Lapsed' else grid.segment end as segment
from customers
left join combined on customers.customer_id = combined.customer_id
left join {{ ref('rfm_segment_grid') }} as grid
    on
        combined.r_score = grid.r_score
        and combined.fm_score = grid.fm_score
