select
    identifier_type,
    identifier_key,
    identifier_masked,
    customer_id,
    other_customer_id,
    rule,
    reason,
    probability,
    records,
    first_seen_at,
    last_seen_at
from {{ source('identity', 'refusals') }}
