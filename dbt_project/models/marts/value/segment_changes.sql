with

previous as (
    select max(previous_as_of_date) as as_of_date
    from {{ ref('int_segment_candidates') }}
),

owners as (
    select
        log.identity_key,
        log.customer_id,
        row_number() over (partition by log.identity_key order by log.as_of_date desc nulls last) as place
    from {{ ref('int_purchase_owner_log') }} as log
    inner join previous on log.as_of_date <= previous.as_of_date
    where log.identity_key is not null
),

-- Identifiers that were known at the previous build and belong to somebody else today.
passed_on as (
    select
        owners.customer_id as former_id,
        present.customer_id as present_id
    from owners
    inner join {{ ref('int_purchase_owners') }} as present on owners.identity_key = present.identity_key
    where
        owners.place = 1
        and owners.customer_id <> present.customer_id
),

touched as (
    select former_id as customer_id
    from passed_on

    union

    select present_id as customer_id
    from passed_on
),

scored as (
    select
        candidates.customer_id,
        candidates.previous_as_of_date,
        candidates.from_segment,
        candidates.to_segment,
        case when touched.customer_id is null then 'new_data' else 'identity_changed' end as cause_of_revision,
        max(case when steps.step = 'definition' then steps.segment end) as after_definition,
        max(case when steps.step = 'cut_points' then steps.segment end) as after_cut_points,
        max(case when steps.step = 'revision' then steps.segment end) as after_revision,
        max(case when steps.step = 'time' then steps.segment end) as after_time
    from {{ ref('int_segment_candidates') }} as candidates
    left join {{ ref('int_segment_steps') }} as steps on candidates.customer_id = steps.customer_id
    left join touched on candidates.customer_id = touched.customer_id
    group by
        candidates.customer_id,
        candidates.previous_as_of_date,
        candidates.from_segment,
        candidates.to_segment,
        touched.customer_id
),

-- One step after the other, from what the previous build said to what this one says.
walked as (
    select
        *,
        coalesce(after_definition, 'No Purchase') <> from_segment as by_definition,
        coalesce(after_cut_points, 'No Purchase') <> coalesce(after_definition, 'No Purchase') as by_cut_points,
        coalesce(after_revision, 'No Purchase') <> coalesce(after_cut_points, 'No Purchase') as by_revision,
        coalesce(after_time, 'No Purchase') <> coalesce(after_revision, 'No Purchase') as by_time,
        to_segment <> coalesce(after_time, 'No Purchase') as by_data
    from scored
),

-- The last step that changes the segment: without it the customer would be in another one.
judged as (
    select
        *,
        case
            when by_data then 'new_data'
            when by_time then 'time_passed'
            when by_revision then cause_of_revision
            when by_cut_points then 'cut_points_moved'
            else 'definition_changed'
        end as cause
    from walked
)

select
    customer_id,
    {{ as_of_date() }} as as_of_date,
    previous_as_of_date,
    from_segment,
    to_segment,
    cause,
    nullif(
        substring(
            case when by_definition and cause <> 'definition_changed' then ', definition_changed' else '' end
            || case when by_cut_points and cause <> 'cut_points_moved' then ', cut_points_moved' else '' end
            || case when by_revision and cause <> cause_of_revision then ', ' || cause_of_revision else '' end
            || case when by_time and cause <> 'time_passed' then ', time_passed' else '' end,
            3
        ),
        ''
    ) as other_causes
from judged
