{{ go_by_reach() }}
{%- set late_from = add_days('last_purchase_date', 'dormant_after_days + 1') -%}
{%- set quiet_from = add_days('last_activity_date', var('dormant_quiet_days')) -%}
{%- set frequent_until = add_days('loyal_since_date', var('loyalty_window_days')) -%}
{%- set recent_until = add_days('last_purchase_date', var('loyalty_recent_days') + 1) -%}
{%- set referral_until = add_days('last_referral_date', var('advocacy_days')) -%}
with

days as (
    select * from {{ reached_rows(ref('int_journey_days')) }}
),

known as (
    select
        customer_id,
        journey_date,
        lead(journey_date) over (
            partition by customer_id
            order by journey_date asc nulls last
        ) as next_journey_date,
        sum(case when has_purchase then 1 else 0 end) over so_far as purchase_days,
        min(case when has_purchase then journey_date end) over so_far as first_purchase_date,
        max(case when has_purchase then journey_date end) over so_far as last_purchase_date,
        max(loyal_since_date) over so_far as loyal_since_date,
        max(case when has_activity then journey_date end) over so_far as last_activity_date,
        max(interested_since_date) over so_far as interested_since_date,
        max(case when has_product_view then journey_date end) over so_far as last_product_view_date,
        max(case when has_cart then journey_date end) over so_far as last_cart_date,
        max(case when has_long_visit then journey_date end) over so_far as last_long_visit_date,
        max(case when has_enquiry then journey_date end) over so_far as last_enquiry_date,
        max(case when has_referral then journey_date end) over so_far as last_referral_date
    from days
    window so_far as (
        partition by customer_id
        order by journey_date asc nulls last
        rows between unbounded preceding and current row
    )
),

rhythm as (
    select
        known.*,
        complaints.opened_date as complaint_date,
        cast({{ days_between('known.first_purchase_date', 'known.last_purchase_date') }} as double)
        / nullif(known.purchase_days - 1, 0) as mean_gap_days
    from known
    left join {{ ref('int_journey_complaints') }} as complaints
        on
            known.customer_id = complaints.customer_id
            and known.journey_date >= complaints.opened_date
            and (complaints.resolved_date is null or known.journey_date < complaints.resolved_date)
),

patience as (
    select
        rhythm.*,
        -- Here and below greatest() passes over nulls, in both engines: without a gap the fixed number stands alone.
        cast(floor(greatest(
            {{ var('at_risk_days') }}, {{ var('at_risk_gap_factor') }} * mean_gap_days
        )) as integer) as at_risk_after_days,
        cast(floor(greatest(
            {{ var('dormant_days') }}, {{ var('dormant_gap_factor') }} * mean_gap_days
        )) as integer) as dormant_after_days,
        -- A view and a cart count together, so the older of the two decides.
        greatest(
            interested_since_date,
            case
                when last_product_view_date is not null and last_cart_date is not null
                    then least(last_product_view_date, last_cart_date)
            end,
            last_long_visit_date,
            last_enquiry_date
        ) as interested_date
    from rhythm
)

select
    customer_id,
    journey_date,
    next_journey_date,
    cast(purchase_days as bigint) as purchase_days,
    mean_gap_days,
    at_risk_after_days,
    dormant_after_days,
    first_purchase_date,
    last_purchase_date,
    last_product_view_date,
    last_cart_date,
    last_long_visit_date,
    last_enquiry_date,
    last_referral_date,
    interested_since_date,
    complaint_date,
    case when purchase_days > 0 then {{ add_days('journey_date', var('churn_days') + 1) }} end as churned_from_date,
    case when purchase_days > 0 then greatest({{ late_from }}, {{ quiet_from }}) end as dormant_from_date,
    {{ add_days('last_purchase_date', 'at_risk_after_days + 1') }} as overdue_from_date,
    case
        when purchase_days > 0 then {{ add_days('complaint_date', var('complaint_open_days') + 1) }}
    end as complaint_from_date,
    case
        when loyal_since_date is not null then least({{ frequent_until }}, {{ recent_until }})
    end as loyal_until_date,
    case
        when loyal_since_date is not null and last_referral_date is not null
            then least({{ frequent_until }}, {{ recent_until }}, {{ referral_until }})
    end as advocate_until_date,
    case
        when journey_date = first_purchase_date
            then {{ add_days('first_purchase_date', var('new_purchase_days') + 1) }}
    end as new_until_date,
    case
        when purchase_days = 0 then {{ add_days('interested_date', var('consideration_days')) }}
    end as considering_until_date
from patience
