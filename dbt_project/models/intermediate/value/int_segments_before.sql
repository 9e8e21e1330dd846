with

previous as (
    select max(log.as_of_date) as as_of_date
    from {{ ref('int_rfm_log') }} as log
    inner join {{ ref('int_rfm_rule_log') }} as rules on log.as_of_date = rules.as_of_date
    where
        log.customer_id is null
        and rules.measure = 'window'
        and log.as_of_date < {{ as_of_date() }}
),

lines as (
    select
        log.customer_id,
        log.currency,
        log.segment,
        log.last_purchase_date,
        log.window_purchase_days,
        log.window_net_revenue_amount,
        previous.as_of_date as previous_as_of_date,
        row_number() over (partition by log.customer_id order by log.as_of_date desc nulls last) as place
    from {{ ref('int_rfm_log') }} as log
    inner join previous on log.as_of_date <= previous.as_of_date
    where log.customer_id is not null
)

select
    previous_as_of_date,
    customer_id,
    currency,
    segment,
    last_purchase_date,
    window_purchase_days,
    window_net_revenue_amount
from lines
where
    place = 1
    and currency is not null

union all

-- A build that knew no buyer is one, too.
select
    previous.as_of_date as previous_as_of_date,
    nothing.customer_id,
    nothing.currency,
    nothing.segment,
    nothing.last_purchase_date,
    nothing.window_purchase_days,
    nothing.window_net_revenue_amount
from previous
left join lines as nothing on 1 = 0
where previous.as_of_date is not null
