select
    _source as source,
    _source || ':' || case_id || ':' || event_id as record_id,
    occurred_at,
    {{ business_date('occurred_at') }} as occurred_date,
    _batch_id,

    case_id,
    event_id,

    response_due_at,
    resolution_due_at,

    event_type,
    status,
    actor,
    case_type,
    category,
    subcategory,
    priority,
    channel,
    language,
    is_within_sla,
    is_on_behalf,
    team,
    agent_id,

    subject,
    text,

    order_id,
    product_id,
    call_id,
    store_id,

    city,
    region,
    postal_code,

    nullif(email, '') as email,
    nullif(phone, '') as phone,
    nullif(loyalty_id, '') as loyalty_id,
    nullif(app_user_id, '') as app_user_id,
    {{ identity_key(
        '_source',
        'occurred_at',
        email='email',
        phone='phone',
        loyalty_id='loyalty_id',
        app_user_id='app_user_id'
    ) }} as identity_key
from {{ known_rows('cases') }}
where {{ is_known('occurred_at') }}
