select
    record_id,
    source,
    identity_key,

    given_name,
    family_name,
    full_name,
    birth_date,
    birth_year,
    birth_place,
    gender,
    national_id,
    occupation,

    street,
    house_number,
    address_extra,
    postal_code,
    city,
    region,
    country,

    email,
    phone
from {{ ref('stg_profiles') }}
-- A record that a source marks as a test is nobody's.
where coalesce(status, 'active') <> 'test'
