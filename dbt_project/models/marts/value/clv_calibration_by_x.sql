select
    as_of_date,
    model,
    repeat_orders,
    customers,
    actual_mean_orders,
    predicted_mean_orders
from {{ source('value', 'calibration_by_x') }}
