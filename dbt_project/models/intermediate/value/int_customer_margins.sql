with

-- An article number whose catalogues name unlike costs says nothing.
costs as (
    select
        product_id,
        currency,
        min(cost_amount) as cost_amount,
        min(coalesce(tax_rate, 0)) as tax_rate
    from {{ ref('stg_products') }}
    where cost_amount is not null
    group by product_id, currency
    having min(cost_amount) = max(cost_amount)
),

known as (
    select
        lines.customer_id,
        sum(lines.net_amount) as known_amount,
        sum(
            cast(
                lines.net_amount / (1 + costs.tax_rate) - costs.cost_amount * lines.quantity as decimal(18, 4)
            )
        ) as margin_amount
    from {{ ref('fct_order_lines') }} as lines
    inner join {{ ref('int_customer_value') }} as valued
        on
            lines.customer_id = valued.customer_id
            and lines.currency = valued.currency
    inner join costs
        on
            lines.product_id = costs.product_id
            and lines.currency = costs.currency
    where
        lines.line_type <> 'return'
        and lines.net_amount > 0
        and lines.quantity is not null
    group by lines.customer_id
),

whole as (
    select
        valued.currency,
        cast(sum(known.margin_amount) as double) / cast(sum(known.known_amount) as double) as margin_rate,
        cast(sum(known.known_amount) as double) / count(*) as typical_amount
    from known
    inner join {{ ref('int_customer_value') }} as valued on known.customer_id = valued.customer_id
    group by valued.currency
)

-- Few lines tell little: a customer has, beside the own lines, those of a typical customer at the margin of all.
select
    valued.customer_id,
    valued.currency,
    coalesce(known.known_amount, 0) as known_amount,
    (coalesce(cast(known.margin_amount as double), 0) + whole.typical_amount * whole.margin_rate)
    / (coalesce(cast(known.known_amount as double), 0) + whole.typical_amount) as margin_rate,
    case when known.customer_id is null then 'currency' else 'customer' end as margin_source
from {{ ref('int_customer_value') }} as valued
inner join whole on valued.currency = whole.currency
left join known on valued.customer_id = known.customer_id
