select
    _source as source,
    _source || ':' || visit_id as record_id,
    entered_at as occurred_at,
    {{ business_date('entered_at') }} as occurred_date,
    _batch_id,

    visit_id,

    entered_at,
    exited_at,

    store_id,
    store_type,
    is_ping,

    nullif(email, '') as email,
    nullif(phone, '') as phone,
    nullif(loyalty_id, '') as loyalty_id,
    nullif(device_id, '') as device_id,
    nullif(app_user_id, '') as app_user_id,
    nullif(payment_token, '') as payment_token,
    {{ identity_key(
        '_source',
        'entered_at',
        email='email',
        phone='phone',
        loyalty_id='loyalty_id',
        device_id='device_id',
        app_user_id='app_user_id',
        payment_token='payment_token'
    ) }} as identity_key
from {{ known_rows('store_visits') }}
where {{ is_known('entered_at') }}
