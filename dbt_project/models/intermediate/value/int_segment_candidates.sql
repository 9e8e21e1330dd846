with

previous as (
    select max(previous_as_of_date) as as_of_date
    from {{ ref('int_segments_before') }}
),

-- Who was merged into another customer since speaks for the survivor where that one had no segment.
before as (
    select
        told.*,
        coalesce(aliases.customer_id, told.customer_id) as present_id,
        row_number() over (
            partition by coalesce(aliases.customer_id, told.customer_id)
            order by case when aliases.customer_id is null then 0 else 1 end asc, told.customer_id asc nulls last
        ) as turn
    from {{ ref('int_segments_before') }} as told
    left join {{ source('identity', 'aliases') }} as aliases on told.customer_id = aliases.old_customer_id
    where told.customer_id is not null
)

select
    customers.customer_id,
    previous.as_of_date as previous_as_of_date,
    before.currency,
    before.last_purchase_date,
    before.window_purchase_days,
    before.window_net_revenue_amount,
    coalesce(before.segment, 'No Purchase') as from_segment,
    coalesce(rfm.segment, 'No Purchase') as to_segment
from {{ ref('int_customer_channels') }} as customers
inner join previous on previous.as_of_date is not null
left join before
    on
        customers.customer_id = before.present_id
        and before.turn = 1
left join {{ ref('customer_rfm') }} as rfm on customers.customer_id = rfm.customer_id
where coalesce(before.segment, 'No Purchase') <> coalesce(rfm.segment, 'No Purchase')
