select
    identifiers.customer_id,
    identifiers.identifier_type,
    identifiers.identifier_masked,
    identifiers.identifier_key,
    identifiers.first_seen_at,
    identifiers.last_seen_at,
    identifiers.sources,
    identifiers.records
from {{ source('identity', 'identifiers') }} as identifiers
-- Who is known by a profile or a consent alone has not touched the company yet and is no customer of it.
inner join {{ ref('int_customer_channels') }} as customers
    on identifiers.customer_id = customers.customer_id
where identifiers.status = 'linked'
