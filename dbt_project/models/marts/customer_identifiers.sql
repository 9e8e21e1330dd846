select
    customer_id,
    identifier_type,
    identifier_masked,
    identifier_key,
    first_seen_at,
    last_seen_at,
    sources,
    records
from {{ source('identity', 'identifiers') }}
where
    status = 'linked'
    and customer_id is not null
