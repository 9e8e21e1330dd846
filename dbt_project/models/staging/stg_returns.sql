select
    _source as source,
    _source || ':' || return_id || ':' || line_id as record_id,
    returned_at as occurred_at,
    {{ business_date('returned_at') }} as occurred_date,
    _batch_id,

    return_id,
    line_id,
    order_id,
    order_line_id,
    order_source,
    return_order_id,

    returned_at,
    refunded_at,

    channel,
    store_id,
    product_id,
    product_category,
    reason,
    condition,
    status,

    reason_text,

    quantity,
    refund_amount,
    currency,

    nullif(email, '') as email,
    nullif(phone, '') as phone,
    nullif(loyalty_id, '') as loyalty_id,
    nullif(app_user_id, '') as app_user_id,
    nullif(payment_token, '') as payment_token,
    {{ identity_key(
        '_source',
        'returned_at',
        email='email',
        phone='phone',
        loyalty_id='loyalty_id',
        app_user_id='app_user_id',
        payment_token='payment_token'
    ) }} as identity_key
from {{ known_rows('returns') }}
where {{ is_known('returned_at') }}
