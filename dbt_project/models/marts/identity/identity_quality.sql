select
    as_of_date,
    measure,
    value,
    run_id
from {{ source('identity', 'quality') }}
