select
    _source as source,
    _source || ':' || visit_id as record_id,
    entered_at as occurred_at,
    {{ business_date('entered_at') }} as occurred_date,

    visit_id,

    entered_at,
    exited_at,

    store_id,
    store_type,
    is_ping,

    email,
    phone,
    loyalty_id,
    device_id,
    app_user_id,
    payment_token,
    {{ identity_key(
        '_source',
        email='email',
        phone='phone',
        loyalty_id='loyalty_id',
        device_id='device_id',
        app_user_id='app_user_id',
        payment_token='payment_token'
    ) }} as identity_key
from {{ source('lake', 'store_visits') }}
where {{ is_known('entered_at') }}
