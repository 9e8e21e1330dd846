select
    _source as source,
    _source || ':' || review_id as record_id,
    reviewed_at as occurred_at,
    {{ business_date('reviewed_at') }} as occurred_date,
    _batch_id,

    review_id,

    reviewed_at,
    updated_at,
    replied_at,

    subject_type,
    product_id,
    product_category,
    store_id,
    order_id,
    channel,
    site,
    language,
    status,
    is_verified,
    is_recommended,

    rating,
    scale_min,
    scale_max,
    helpful_votes,

    title,
    text,
    author_name,
    reply_text,

    nullif(email, '') as email,
    nullif(phone, '') as phone,
    nullif(loyalty_id, '') as loyalty_id,
    nullif(app_user_id, '') as app_user_id,
    {{ identity_key(
        '_source',
        'reviewed_at',
        email='email',
        phone='phone',
        loyalty_id='loyalty_id',
        app_user_id='app_user_id'
    ) }} as identity_key
from {{ known_rows('reviews') }}
where {{ is_known('reviewed_at') }}
