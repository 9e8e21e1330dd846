select
    as_of_date,
    model,
    week,
    week_end_date,
    is_holdout,
    actual_orders,
    predicted_orders,
    actual_cumulative_orders,
    predicted_cumulative_orders
from {{ source('value', 'tracking_weekly') }}
