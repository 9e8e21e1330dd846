{%- set window_days = var('rfm_window_days') -%}
{%- set then_from = add_days('previous.as_of_date', 0 - window_days) -%}
{%- set now_from = add_days(as_of_date(), 0 - window_days) -%}
with

candidates as (
    select *
    from {{ ref('int_segment_candidates') }}
),

previous as (
    select max(previous_as_of_date) as as_of_date
    from candidates
),

rules_before as (
    select rules.*
    from {{ ref('int_rfm_rule_log') }} as rules
    inner join previous on rules.as_of_date = previous.as_of_date
),

cut_points_before as (
    select *
    from rules_before
    where measure <> 'window'
),

same_window as (
    select count(*) as same
    from rules_before
    where
        measure = 'window'
        and value = {{ window_days }}
),

-- A cut point that is pinned now or was pinned then changes by a decision; one that is computed both times, by itself.
rules as (
    select
        coalesce(present.measure, former.measure) as measure,
        coalesce(present.currency, former.currency) as currency,
        coalesce(present.cut, former.cut) as cut,
        coalesce(present.value, former.value) as value_now,
        case
            when same_window.same = 1 and former.mode = 'computed' and coalesce(present.mode, 'computed') = 'computed'
                then former.value
            else coalesce(present.value, former.value)
        end as value_by_definition
    from {{ ref('rfm_cut_points') }} as present
    full outer join cut_points_before as former
        on
            present.measure = former.measure
            and present.cut = former.cut
            and coalesce(present.currency, '') = coalesce(former.currency, '')
    cross join same_window
),

-- What the data and the identities of today say of the days up to the previous build.
days as (
    select
        orders.customer_id,
        orders.order_date as day,
        orders.currency,
        orders.net_amount,
        0 as purchase_days
    from {{ ref('fct_orders') }} as orders
    inner join candidates on orders.customer_id = candidates.customer_id
    where orders.order_date <= candidates.previous_as_of_date

    union all

    select
        purchases.customer_id,
        purchases.purchase_date as day,
        purchases.currency,
        cast(0 as decimal(18, 2)) as net_amount,
        1 as purchase_days
    from {{ ref('int_customer_purchase_days') }} as purchases
    inner join candidates on purchases.customer_id = candidates.customer_id
    where purchases.purchase_date <= candidates.previous_as_of_date
),

known as (
    select
        days.customer_id,
        max(days.currency) as currency,
        max(case when days.purchase_days = 1 then days.day end) as last_purchase_date,
        sum(case when days.day > {{ then_from }} then days.purchase_days else 0 end) as purchase_days_then,
        sum(case when days.day > {{ now_from }} then days.purchase_days else 0 end) as purchase_days_now,
        coalesce(sum(case when days.day > {{ then_from }} then days.net_amount end), 0) as net_revenue_amount_then,
        coalesce(sum(case when days.day > {{ now_from }} then days.net_amount end), 0) as net_revenue_amount_now
    from days
    cross join previous
    group by days.customer_id
),

-- What was told of a day cannot be scored by another window or in another currency: then today's view of it stands in.
compared as (
    select
        candidates.*,
        known.currency as known_currency,
        known.last_purchase_date as known_last_purchase_date,
        known.purchase_days_then,
        known.net_revenue_amount_then,
        same_window.same = 1 and coalesce(known.currency, candidates.currency) = candidates.currency as is_told
    from candidates
    left join known on candidates.customer_id = known.customer_id
    cross join same_window
    where candidates.last_purchase_date is not null
),

former as (
    select
        customer_id,
        case when is_told then currency else known_currency end as currency,
        case when is_told then last_purchase_date else known_last_purchase_date end as last_purchase_date,
        case when is_told then window_purchase_days else purchase_days_then end as window_purchase_days,
        case when is_told then window_net_revenue_amount else net_revenue_amount_then end
            as window_net_revenue_amount
    from compared
),

stepped as (
    {% for build in ('definition', 'cut_points') -%}
    select
        '{{ build }}' as build,
        former.customer_id,
        former.currency,
        {{ days_between('former.last_purchase_date', 'previous.as_of_date') }} as recency_days,
        cast(former.window_purchase_days as bigint) as window_purchase_days,
        cast(former.window_net_revenue_amount as decimal(18, 2)) as window_net_revenue_amount
    from former
    cross join previous
    where former.last_purchase_date is not null

    union all

    {% endfor -%}
    select
        'revision' as build,
        known.customer_id,
        known.currency,
        {{ days_between('known.last_purchase_date', 'previous.as_of_date') }} as recency_days,
        cast(known.purchase_days_then as bigint) as window_purchase_days,
        cast(known.net_revenue_amount_then as decimal(18, 2)) as window_net_revenue_amount
    from known
    cross join previous
    where known.last_purchase_date is not null

    union all

    select
        'time' as build,
        known.customer_id,
        known.currency,
        {{ days_between('known.last_purchase_date', as_of_date()) }} as recency_days,
        cast(known.purchase_days_now as bigint) as window_purchase_days,
        cast(known.net_revenue_amount_now as decimal(18, 2)) as window_net_revenue_amount
    from known
    where known.last_purchase_date is not null
),

cut_points as (
    select
        'definition' as build,
        measure,
        currency,
        cut,
        value_by_definition as value
    from rules
    {%- for build in ('cut_points', 'revision', 'time') %}

    union all

    select
        '{{ build }}' as build,
        measure,
        currency,
        cut,
        value_now as value
    from rules
    {%- endfor %}
),

{{ rfm_segmented('stepped', 'cut_points') }}

select
    customer_id,
    build as step,
    segment
from segmented
