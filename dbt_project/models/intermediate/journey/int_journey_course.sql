{{ go_by_reach() }}
{%- set thresholds = [
    'churned_from_date', 'dormant_from_date', 'overdue_from_date', 'complaint_from_date', 'loyal_until_date',
    'advocate_until_date', 'new_until_date', 'considering_until_date'
] -%}
{%- set interest_start = add_days('stage_date', 0 - var('consideration_days')) -%}
with

thresholds as (
    select * from {{ reached_rows(ref('int_journey_thresholds')) }}
),

-- Between two touchpoint days the knowledge stands still and only time passes, so the stage can change
-- on the touchpoint day itself or on a day when one of the thresholds is crossed, and on no other. After the last
-- one that holds for all days to come: what as_of cuts off later changes nothing before it.
candidates as (
    select
        thresholds.*,
        journey_date as stage_date,
        0 as candidate
    from thresholds
    {% for threshold in thresholds %}
    union all

    select
        thresholds.*,
        {{ threshold }} as stage_date,
        {{ loop.index }} as candidate
    from thresholds
    where
        {{ threshold }} > journey_date
        and (next_journey_date is null or {{ threshold }} < next_journey_date)
    {% endfor %}
),

-- First match wins, as in the definition.
judged as (
    select
        candidates.*,
        case
            when stage_date >= churned_from_date then 'churned'
            when stage_date >= dormant_from_date then 'dormant'
            when stage_date >= overdue_from_date or stage_date >= complaint_from_date then 'at_risk'
            when stage_date < advocate_until_date then 'advocacy'
            when stage_date < loyal_until_date then 'loyalty'
            when stage_date < new_until_date then 'purchase'
            when purchase_days > 0 then 'use'
            when stage_date < considering_until_date then 'consideration'
            else 'awareness'
        end as stage
    from candidates
),

compared as (
    select
        judged.*,
        lag(stage) over (
            partition by customer_id
            order by stage_date asc nulls last, candidate asc nulls last
        ) as previous_stage
    from judged
),

moves as (
    select
        compared.*,
        case
            when stage = 'churned' then 'silent'
            when stage = 'dormant' then 'inactive'
            when stage = 'at_risk' and stage_date >= overdue_from_date then 'overdue'
            when stage = 'at_risk' then 'complaint'
            when stage = 'advocacy' then 'referral'
            when stage = 'loyalty' then 'frequent'
            when stage = 'purchase' then 'first_purchase'
            when stage = 'use' and previous_stage = 'purchase' and stage_date > journey_date then 'settled'
            when stage = 'use' and previous_stage in ('loyalty', 'advocacy') and stage_date > journey_date
                then 'less_frequent'
            when stage = 'use' and stage_date = last_purchase_date then 'repeat_purchase'
            when stage = 'use' then 'contact'
            when last_product_view_date > {{ interest_start }}
                and last_cart_date > {{ interest_start }}
                and stage = 'consideration' then 'cart'
            when last_long_visit_date > {{ interest_start }}
                and stage = 'consideration' then 'store_visit'
            when last_enquiry_date > {{ interest_start }}
                and stage = 'consideration' then 'enquiry'
            when stage = 'consideration' then 'sessions'
            when previous_stage is null then 'first_touchpoint'
            else 'interest_faded'
        end as reason_code
    from compared
    where previous_stage is null or previous_stage <> stage
)

select
    customer_id,
    stage_date,
    stage,
    previous_stage,
    reason_code,
    case
        when reason_code = 'overdue' then at_risk_after_days
        when reason_code = 'inactive' then dormant_after_days
    end as patience_days,
    case
        when reason_code in ('overdue', 'inactive', 'frequent', 'less_frequent', 'first_purchase', 'repeat_purchase')
            then 'purchase'
        when reason_code in ('complaint', 'referral', 'cart', 'store_visit', 'enquiry') then reason_code
        else 'touchpoint'
    end as evidence_type,
    case
        when reason_code in ('overdue', 'inactive', 'frequent', 'less_frequent', 'first_purchase', 'repeat_purchase')
            then last_purchase_date
        when reason_code = 'complaint' then complaint_date
        when reason_code = 'referral' then last_referral_date
        when reason_code = 'cart' then last_cart_date
        when reason_code = 'store_visit' then last_long_visit_date
        when reason_code = 'enquiry' then last_enquiry_date
        else journey_date
    end as evidence_date
from moves
