select
    customer_id,
    identifiers,
    observations,
    records,
    sources,
    edges,
    links,
    density,
    bridges,
    deep_bridges,
    most_of_a_type,
    first_seen_at,
    last_seen_at
from {{ source('identity', 'clusters') }}
