with

moves as (
    select
        moves.*,
        lead(stage_date) over (
            partition by customer_id
            order by stage_date asc nulls last
        ) as next_stage_date
    from {{ ref('int_journey_moves') }} as moves
)

select
    moves.customer_id,
    moves.stage,
    moves.stage_date as valid_from_date,
    {{ add_days('moves.next_stage_date', -1) }} as valid_to_date,
    {{ days_between('moves.stage_date', 'coalesce(moves.next_stage_date, ' ~ add_days(as_of_date(), 1) ~ ')') }}
        as duration_days,
    moves.reason_code,
    case moves.reason_code
        when 'silent' then 'no touchpoint for more than {{ var("churn_days") }} days'
        when 'inactive'
            then
                'no purchase for more than ' || cast(moves.patience_days as string)
                || ' days and no app or store activity for {{ var("dormant_quiet_days") }} days'
        when 'overdue' then 'no purchase for more than ' || cast(moves.patience_days as string) || ' days'
        when 'complaint'
            then
                'complaint of ' || cast(moves.evidence_date as string)
                || ' unresolved for more than {{ var("complaint_open_days") }} days'
        when 'referral' then 'loyal, with a referral in {{ var("advocacy_days") }} days'
        when 'frequent'
            then
                'at least {{ var("loyalty_purchase_days") }} purchase days in {{ var("loyalty_window_days") }} days,'
                || ' the last within {{ var("loyalty_recent_days") }} days'
        when 'first_purchase' then 'first purchase, no touchpoint after it'
        when 'settled' then 'first purchase more than {{ var("new_purchase_days") }} days ago, no touchpoint after it'
        when 'less_frequent'
            then
                'no longer {{ var("loyalty_purchase_days") }} purchase days in {{ var("loyalty_window_days") }} days'
                || ' with the last within {{ var("loyalty_recent_days") }} days'
        when 'repeat_purchase' then 'another purchase'
        when 'contact' then 'touchpoint after a purchase'
        when 'cart' then 'product view and cart within {{ var("consideration_days") }} days'
        when 'store_visit'
            then
                'store visit of at least {{ var("consideration_visit_seconds") }} seconds'
                || ' within {{ var("consideration_days") }} days'
        when 'enquiry' then 'enquiry call within {{ var("consideration_days") }} days'
        when 'sessions'
            then '{{ var("consideration_sessions") }} or more sessions within {{ var("consideration_days") }} days'
        when 'interest_faded' then 'no more sign of interest in {{ var("consideration_days") }} days'
        when 'first_touchpoint' then 'first touchpoint, no purchase'
    end as reason,
    evidence.evidence_id
from moves
left join {{ ref('int_journey_evidence') }} as evidence
    on
        moves.customer_id = evidence.customer_id
        and moves.evidence_type = evidence.evidence_type
        and moves.evidence_date = evidence.evidence_date
