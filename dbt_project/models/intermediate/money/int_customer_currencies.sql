with

currencies as (
    select
        customer_id,
        currency,
        sum(lines) as order_lines
    from {{ ref('int_orders_identified') }}
    where customer_id is not null
    group by customer_id, currency
),

ranked as (
    select
        customer_id,
        currency,
        row_number() over (partition by customer_id order by order_lines desc, currency asc) as place
    from currencies
)

select
    customer_id,
    coalesce({{ reporting_currency() }}, currency) as currency
from ranked
where place = 1
