with

moves as (
    select
        stage_date,
        previous_stage,
        stage
    from {{ ref('int_journey_moves') }}
    where previous_stage is not null
)

select
    {{ as_of_date() }} as as_of_date,
    moves.stage_date as moved_date,
    moves.previous_stage as from_stage,
    moves.stage as to_stage,
    cast(count(*) as bigint) as customers,
    moves.previous_stage in ('dormant', 'churned') and to_stages.is_buying as is_win_back
from moves
inner join {{ ref('journey_stages') }} as to_stages on moves.stage = to_stages.stage
group by moves.stage_date, moves.previous_stage, moves.stage, to_stages.is_buying
