select
    known_as,
    customer_id,
    status,
    valid_from_date,
    valid_to_date,
    run_id
from {{ source('identity', 'history') }}
