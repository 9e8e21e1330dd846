select
    _source as source,
    _source || ':' || consent_id as record_id,
    updated_at as occurred_at,
    {{ business_date('updated_at') }} as occurred_date,
    _batch_id,

    consent_id,

    updated_at,
    given_at,
    withdrawn_at,
    expires_at,

    purpose,
    channel,
    status,
    legal_basis,
    collected_via,
    wording_version,
    proof_reference,
    language,

    nullif(email, '') as email,
    nullif(phone, '') as phone,
    nullif(loyalty_id, '') as loyalty_id,
    nullif(device_id, '') as device_id,
    nullif(app_user_id, '') as app_user_id,
    {{ identity_key(
        '_source',
        'updated_at',
        email='email',
        phone='phone',
        loyalty_id='loyalty_id',
        device_id='device_id',
        app_user_id='app_user_id'
    ) }} as identity_key
from {{ known_rows('consents') }}
where {{ is_known('updated_at') }}
