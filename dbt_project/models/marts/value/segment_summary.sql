with

customers as (
    select distinct customer_id
    from {{ ref('customer_timeline') }}
),

-- A company that knows one currency counts everybody in it; where there are several, nobody can say which one a
-- customer without an order would have used.
only_currency as (
    select max(currency) as currency
    from {{ ref('int_customer_value') }}
    having count(distinct currency) = 1
),

segmented as (
    select
        coalesce(rfm.segment, 'No Purchase') as segment,
        -- Customers who only ever returned something have a currency too.
        coalesce(valued.currency, only_currency.currency) as currency,
        count(*) as customers,
        coalesce(sum(valued.window_net_revenue_amount), 0) as net_revenue_amount,
        sum(clv.total_clv_amount) as total_clv_amount,
        count(clv.total_clv_amount) as customers_with_clv
    from customers
    left join {{ ref('int_customer_value') }} as valued on customers.customer_id = valued.customer_id
    left join {{ ref('customer_rfm') }} as rfm on customers.customer_id = rfm.customer_id
    left join {{ ref('customer_clv') }} as clv on customers.customer_id = clv.customer_id
    left join only_currency on 1 = 1
    group by coalesce(rfm.segment, 'No Purchase'), coalesce(valued.currency, only_currency.currency)
),

previous as (
    select max(previous_as_of_date) as as_of_date
    from {{ ref('int_segments_before') }}
),

before as (
    select
        segment,
        currency,
        count(*) as customers,
        sum(window_net_revenue_amount) as net_revenue_amount
    from {{ ref('int_segments_before') }}
    where segment is not null
    group by segment, currency
)

-- Only customers with a purchase are remembered, so that nothing is known of No Purchase before.
select
    {{ as_of_date() }} as as_of_date,
    segmented.segment,
    segmented.currency,
    cast(segmented.customers as bigint) as customers,
    cast(segmented.customers as double) / nullif(sum(segmented.customers) over (), 0) as customer_share,
    cast(segmented.net_revenue_amount as decimal(18, 2)) as net_revenue_amount,
    case
        when sum(segmented.net_revenue_amount) over (partition by segmented.currency) > 0
            then
                cast(segmented.net_revenue_amount as double)
                / cast(sum(segmented.net_revenue_amount) over (partition by segmented.currency) as double)
    end as revenue_share,
    cast(
        cast(segmented.total_clv_amount as double) / nullif(segmented.customers_with_clv, 0) as decimal(18, 2)
    ) as mean_clv_amount,
    previous.as_of_date as previous_as_of_date,
    cast(
        case
            when previous.as_of_date is not null and segmented.segment <> 'No Purchase'
                then segmented.customers - coalesce(before.customers, 0)
        end as bigint
    ) as customers_change,
    cast(
        case
            when previous.as_of_date is not null and segmented.segment <> 'No Purchase'
                then segmented.net_revenue_amount - coalesce(before.net_revenue_amount, 0)
        end as decimal(18, 2)
    ) as net_revenue_change_amount
from segmented
cross join previous
left join before
    on
        segmented.segment = before.segment
        and segmented.currency = before.currency
