select
    _source as source,
    _source || ':' || response_id || ':' || question_id as record_id,
    answered_at as occurred_at,
    {{ business_date('answered_at') }} as occurred_date,
    _batch_id,

    response_id,
    question_id,
    survey_id,

    answered_at,
    invited_at,

    instrument,
    dimension,
    aspect,
    question,
    channel,
    asked_via,
    language,

    score,
    scale_min,
    scale_max,
    scale_direction,
    items,

    comment,

    order_id,
    product_id,
    call_id,
    case_id,
    store_id,
    agent_id,

    nullif(email, '') as email,
    nullif(phone, '') as phone,
    nullif(loyalty_id, '') as loyalty_id,
    nullif(device_id, '') as device_id,
    nullif(app_user_id, '') as app_user_id,
    {{ identity_key(
        '_source',
        'answered_at',
        email='email',
        phone='phone',
        loyalty_id='loyalty_id',
        device_id='device_id',
        app_user_id='app_user_id'
    ) }} as identity_key
from {{ known_rows('surveys') }}
where {{ is_known('answered_at') }}
