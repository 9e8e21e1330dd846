{{ config(materialized='view') }}

select
    currency,
    reporting_currency,
    rate,
    valid_from_date,
    coalesce(
        lead(valid_from_date) over (partition by currency, reporting_currency order by valid_from_date asc),
        cast('9999-12-31' as date)
    ) as valid_until_date
from {{ ref('exchange_rates') }}
