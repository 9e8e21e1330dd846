select
    _source as source,
    _source || ':' || profile_id as record_id,
    updated_at as occurred_at,
    {{ business_date('updated_at') }} as occurred_date,
    _batch_id,

    profile_id,

    updated_at,
    created_at,

    status,
    acquisition_channel,
    loyalty_tier,
    home_store_id,
    language,

    salutation,
    given_name,
    family_name,
    full_name,
    company_name,

    birth_date,
    birth_year,
    birth_place,
    age_band,
    gender,
    nationality,
    national_id,

    occupation,
    education,
    marital_status,
    income_band,
    household_size,
    household_type,
    children,
    home_ownership,

    street,
    house_number,
    address_extra,
    postal_code,
    city,
    region,
    country,

    nullif(email, '') as email,
    nullif(phone, '') as phone,
    nullif(loyalty_id, '') as loyalty_id,
    nullif(app_user_id, '') as app_user_id,
    {{ identity_key(
        '_source',
        'updated_at',
        email='email',
        phone='phone',
        loyalty_id='loyalty_id',
        app_user_id='app_user_id'
    ) }} as identity_key
from {{ known_rows('profiles') }}
where {{ is_known('updated_at') }}
