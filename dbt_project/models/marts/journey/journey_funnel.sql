with

stages as (
    select * from {{ ref('journey_stages') }}
),

history as (
    select
        history.customer_id,
        history.stage,
        history.valid_from_date,
        history.valid_to_date,
        stages.stage_order,
        stages.is_forward,
        stages.is_buying
    from {{ ref('customer_journey_history') }} as history
    inner join stages on history.stage = stages.stage
),

first_entries as (
    select
        customer_id,
        stage,
        stage_order,
        is_forward,
        min(valid_from_date) as entered_date,
        max(case when valid_to_date is null then 1 else 0 end) as is_current
    from history
    group by customer_id, stage, stage_order, is_forward
),

-- A forward stage is left successfully to any later forward stage, because nobody has to pass through all
-- of them; the others by a return to buying.
progress as (
    select
        first_entries.customer_id,
        first_entries.stage,
        first_entries.is_current,
        first_entries.entered_date,
        min(later.valid_from_date) as progressed_date
    from first_entries
    left join history as later
        on
            first_entries.customer_id = later.customer_id
            and first_entries.entered_date < later.valid_from_date
            and (
                (first_entries.is_forward and later.is_forward and first_entries.stage_order < later.stage_order)
                or (not first_entries.is_forward and later.is_buying)
            )
    group by
        first_entries.customer_id, first_entries.stage, first_entries.is_current, first_entries.entered_date
),

measured as (
    select
        stage,
        sum(is_current) as customers_now,
        count(*) as customers_ever,
        count(progressed_date) as customers_progressed,
        percentile_cont(0.5) within group (
            order by {{ days_between('entered_date', 'progressed_date') }}
        ) as median_days_to_next
    from progress
    group by stage
)

select
    {{ as_of_date() }} as as_of_date,
    stages.stage,
    cast(stages.stage_order as bigint) as stage_order,
    cast(coalesce(measured.customers_now, 0) as bigint) as customers_now,
    cast(coalesce(measured.customers_ever, 0) as bigint) as customers_ever,
    cast(coalesce(measured.customers_progressed, 0) as bigint) as customers_progressed,
    case
        when stages.stage <> 'advocacy'
            then cast(measured.customers_progressed as double) / nullif(measured.customers_ever, 0)
    end as conversion_rate,
    cast(measured.median_days_to_next as double) as median_days_to_next
from stages
left join measured on stages.stage = measured.stage
