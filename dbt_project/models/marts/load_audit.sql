select
    source,
    entity,
    file,
    file_sha256,
    batch_id,
    rows_read,
    rows_accepted,
    rows_quarantined,
    rows_duplicate,
    cast(rows_quarantined as double) / nullif(rows_read, 0) as quarantine_rate,
    status,
    reason,
    first_occurred_at,
    last_occurred_at,
    loaded_at
from {{ source('lake', 'load_records') }}
