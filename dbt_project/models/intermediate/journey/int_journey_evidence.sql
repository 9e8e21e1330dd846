{{ go_by_reach() }}

{#- Which records can stand for a type of evidence; the last of a day does, because it completes the day. -#}
with

candidates as (
    select
        customer_id,
        'purchase' as evidence_type,
        order_date as evidence_date,
        ordered_at as occurred_at,
        record_id
    from {{ ref('fct_orders') }}
    where order_net_amount > 0

    union all

    select
        customer_id,
        'referral' as evidence_type,
        session_date as evidence_date,
        started_at as occurred_at,
        record_id
    from {{ ref('fct_sessions') }}
    where referrals > 0

    union all

    select
        customer_id,
        'cart' as evidence_type,
        session_date as evidence_date,
        started_at as occurred_at,
        record_id
    from {{ ref('fct_sessions') }}
    where carts > 0

    union all

    select
        customer_id,
        'store_visit' as evidence_type,
        visit_date as evidence_date,
        entered_at as occurred_at,
        record_id
    from {{ ref('fct_store_visits') }}
    where dwell_seconds >= {{ var('consideration_visit_seconds') }}

    union all

    select
        customer_id,
        'enquiry' as evidence_type,
        call_date as evidence_date,
        started_at as occurred_at,
        record_id
    from {{ ref('fct_calls') }}
    where is_enquiry

    union all

    select
        customer_id,
        'complaint' as evidence_type,
        call_date as evidence_date,
        started_at as occurred_at,
        record_id
    from {{ ref('fct_calls') }}
    where
        is_complaint
        and not is_resolved

    union all

    select
        customer_id,
        'touchpoint' as evidence_type,
        occurred_date as evidence_date,
        occurred_at,
        record_id
    from {{ ref('customer_timeline') }}
),

needed as (
    select distinct
        customer_id,
        evidence_type,
        evidence_date
    from {{ reached_rows(ref('int_journey_course')) }}
),

ranked as (
    select
        needed.customer_id,
        needed.evidence_type,
        needed.evidence_date,
        candidates.record_id,
        row_number() over (
            partition by needed.customer_id, needed.evidence_type, needed.evidence_date
            order by candidates.occurred_at desc nulls last, candidates.record_id desc nulls last
        ) as rank
    from needed
    inner join candidates
        on
            needed.customer_id = candidates.customer_id
            and needed.evidence_type = candidates.evidence_type
            and needed.evidence_date = candidates.evidence_date
)

select
    customer_id,
    evidence_type,
    evidence_date,
    record_id as evidence_id
from ranked
where rank = 1
