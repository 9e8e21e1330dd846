select
    _source as source,
    _source || ':' || order_id || ':' || line_id as record_id,
    ordered_at as occurred_at,
    {{ business_date('ordered_at') }} as occurred_date,
    _batch_id,

    order_id,
    line_id,
    original_order_id,

    ordered_at,

    channel,
    line_type,
    store_id,
    product_id,
    product_category,

    quantity,
    gross_amount,
    discount_amount,
    currency,

    nullif(email, '') as email,
    nullif(phone, '') as phone,
    nullif(loyalty_id, '') as loyalty_id,
    nullif(app_user_id, '') as app_user_id,
    nullif(payment_token, '') as payment_token,
    {{ identity_key(
        '_source',
        'ordered_at',
        email='email',
        phone='phone',
        loyalty_id='loyalty_id',
        app_user_id='app_user_id',
        payment_token='payment_token'
    ) }} as identity_key
from {{ known_rows('transactions') }}
where {{ is_known('ordered_at') }}
