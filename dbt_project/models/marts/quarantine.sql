select
    _source as source,
    entity,
    _file as file,
    _row as file_row,
    stage,
    reasons,
    _batch_id as batch_id,
    _loaded_at as loaded_at
from {{ source('lake', 'quarantine') }}
