-- A channel speaks one currency, as a customer does: the one that the run reports in, else that of most of its
-- orders. Orders in others are converted, those without a rate are left out of the amount and counted.
with

currencies as (
    select
        channel,
        order_currency as currency,
        row_number() over (partition by channel order by count(*) desc, order_currency asc) as place
    from {{ ref('fct_orders') }}
    group by channel, order_currency
),

priced as (
    select
        orders.channel,
        orders.is_return,
        orders.has_return,
        orders.source || ':' || coalesce(orders.original_order_id, orders.order_id) as returned_order,
        orders.order_date,
        orders.order_currency,
        orders.order_net_amount,
        coalesce({{ reporting_currency() }}, currencies.currency) as currency
    from {{ ref('fct_orders') }} as orders
    inner join currencies
        on
            orders.channel = currencies.channel
            and currencies.place = 1
),

converted as (
    select
        priced.*,
        {{ converted_amount('priced.order_net_amount', 'priced.order_currency', 'priced.currency', 'rates.rate') }}
            as net_amount
    from priced
    left join {{ ref('int_exchange_rates') }} as rates
        on
            priced.order_currency = rates.currency
            and priced.currency = rates.reporting_currency
            and priced.order_date >= rates.valid_from_date
            and priced.order_date < rates.valid_until_date
)

select
    channel,
    currency,
    cast(sum(case when is_return then 0 else 1 end) as bigint) as orders,
    cast(coalesce(sum(net_amount), 0) as decimal(18, 2)) as net_revenue_amount,
    cast(count(distinct case when has_return then returned_order end) as bigint) as returned_orders,
    cast(sum(case when net_amount is null then 1 else 0 end) as bigint) as unconverted_orders
from converted
group by channel, currency
