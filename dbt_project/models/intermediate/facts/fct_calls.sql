with

calls as (
    select
        assignments.customer_id,
        calls.source,
        calls.call_id,
        calls.record_id,
        calls.started_at,
        calls.occurred_date as call_date,
        calls.outcome,
        calls.is_queued,
        calls.wait_seconds,
        calls.talk_seconds + coalesce(calls.hold_seconds, 0) + coalesce(calls.wrap_seconds, 0) as handle_seconds,
        coalesce(calls.talk_seconds < 0 or calls.hold_seconds < 0 or calls.wrap_seconds < 0, false) as is_negative,
        calls.reason,
        calls.is_resolved,
        calls.satisfaction_score
    from {{ ref('stg_hotline_calls') }} as calls
    left join {{ source('identity', 'assignments') }} as assignments
        on calls.identity_key = assignments.identity_key
),

-- Calls of unknown callers share no partition that means anything; what follows from it is nulled below.
neighbours as (
    select
        *,
        lag(started_at) over (partition by customer_id order by started_at asc, record_id asc) as previous_at,
        lead(started_at) over (
            partition by customer_id, coalesce(reason, '')
            order by started_at asc, record_id asc
        ) as next_on_reason_at
    from calls
),

judged as (
    select
        *,
        outcome = 'answered'
        and (is_negative or coalesce(handle_seconds > {{ var('max_handle_seconds') }}, false)) as is_handle_excluded,
        {{ days_between('call_date', as_of_date()) }} >= {{ var('fcr_days') }} as is_fcr_known
    from neighbours
)

select
    customer_id,
    source,
    call_id,
    record_id,
    started_at,
    call_date,
    outcome,
    is_queued,
    outcome = 'abandoned'
    and is_queued
    and coalesce(wait_seconds < {{ var('short_abandon_seconds') }}, false) as is_short_abandon,
    wait_seconds,
    case when outcome = 'answered' and not is_handle_excluded then handle_seconds end as handle_seconds,
    is_handle_excluded,
    reason,
    coalesce(reason = 'complaint', false) as is_complaint,
    coalesce(reason = 'enquiry', false) as is_enquiry,
    is_resolved,
    satisfaction_score,
    case
        when customer_id is null then null
        when previous_at is null then false
        else {{ seconds_between('previous_at', 'started_at') }} <= {{ var('repeat_contact_hours') * 3600 }}
    end as is_repeat_contact,
    case
        when customer_id is null or outcome <> 'answered' or not is_fcr_known then null
        when next_on_reason_at is null then true
        else {{ seconds_between('started_at', 'next_on_reason_at') }} > {{ var('fcr_days') * 86400 }}
    end as is_fcr
from judged
