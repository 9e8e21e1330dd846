select
    _source as source,
    _source || ':' || call_id as record_id,
    started_at as occurred_at,
    {{ business_date('started_at') }} as occurred_date,
    _batch_id,

    call_id,

    started_at,

    outcome,
    is_queued,
    agent_id,
    reason,
    is_resolved,
    satisfaction_score,

    wait_seconds,
    talk_seconds,
    hold_seconds,
    wrap_seconds,

    nullif(email, '') as email,
    nullif(phone, '') as phone,
    nullif(loyalty_id, '') as loyalty_id,
    nullif(app_user_id, '') as app_user_id,
    {{ identity_key(
        '_source',
        'started_at',
        email='email',
        phone='phone',
        loyalty_id='loyalty_id',
        app_user_id='app_user_id'
    ) }} as identity_key
from {{ known_rows('hotline_calls') }}
where {{ is_known('started_at') }}
