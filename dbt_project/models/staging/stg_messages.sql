select
    _source as source,
    _source || ':' || event_id as record_id,
    occurred_at,
    {{ business_date('occurred_at') }} as occurred_date,
    _batch_id,

    event_id,
    message_id,

    campaign_starts_at,
    campaign_ends_at,

    event_type,
    channel,
    purpose,
    campaign_id,
    campaign_name,
    campaign_type,
    variant,
    contact_number,
    response,
    link,
    offer_id,
    product_id,
    order_id,

    duration_seconds,
    cost_amount,
    currency,

    nullif(email, '') as email,
    nullif(phone, '') as phone,
    nullif(loyalty_id, '') as loyalty_id,
    nullif(device_id, '') as device_id,
    nullif(app_user_id, '') as app_user_id,
    {{ identity_key(
        '_source',
        'occurred_at',
        email='email',
        phone='phone',
        loyalty_id='loyalty_id',
        device_id='device_id',
        app_user_id='app_user_id'
    ) }} as identity_key
from {{ known_rows('messages') }}
where {{ is_known('occurred_at') }}
