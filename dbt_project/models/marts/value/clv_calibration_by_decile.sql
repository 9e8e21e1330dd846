select
    as_of_date,
    model,
    decile,
    customers,
    actual_mean_orders,
    predicted_mean_orders
from {{ source('value', 'calibration_by_decile') }}
