with

calls as (
    select
        *,
        outcome = 'answered' as is_answered,
        outcome = 'abandoned' and is_queued as is_abandoned
    from {{ ref('fct_calls') }}
),

counted as (
    select
        'hotline' as channel,
        count(*) as calls,
        sum(case when is_queued then 1 else 0 end) as offered_calls,
        sum(case when is_answered then 1 else 0 end) as answered_calls,
        sum(case when is_abandoned then 1 else 0 end) as abandoned_calls,
        sum(case when is_short_abandon then 1 else 0 end) as short_abandons,
        sum(
            case
                when is_answered and is_queued and wait_seconds <= {{ var('service_level_seconds') }} then 1
                else 0
            end
        ) as answered_in_time_calls,
        -- A call that an agent took at once has waited for no time, which is part of the mean over all answered.
        {{ exact_mean('case when is_answered then coalesce(wait_seconds, 0) end') }} as asa_seconds,
        {{ exact_mean('case when is_answered and is_queued then wait_seconds end') }} as asa_waited_seconds,
        {{ exact_mean('handle_seconds') }} as aht_seconds,
        sum(case when is_handle_excluded then 1 else 0 end) as excluded_handles,
        sum(case when is_fcr is null then 0 else 1 end) as fcr_known_calls,
        sum(case when is_fcr then 1 else 0 end) as fcr_calls,
        sum(case when is_repeat_contact is null then 0 else 1 end) as identified_calls,
        sum(case when is_repeat_contact then 1 else 0 end) as repeat_contacts,
        sum(case when is_complaint then 1 else 0 end) as complaints,
        {{ exact_mean('satisfaction_score') }} as mean_satisfaction_score
    from calls
)

select
    channel,
    cast(calls as bigint) as calls,
    cast(identified_calls as bigint) as identified_calls,
    cast(offered_calls as bigint) as offered_calls,
    cast(answered_calls as bigint) as answered_calls,
    cast(abandoned_calls as bigint) as abandoned_calls,
    cast(short_abandons as bigint) as short_abandons,
    cast(abandoned_calls as double) / nullif(offered_calls, 0) as abandon_rate_queued,
    cast(abandoned_calls - short_abandons as double) / nullif(offered_calls - short_abandons, 0)
        as abandon_rate_offered_excl_short,
    asa_seconds,
    asa_waited_seconds,
    cast(answered_in_time_calls as double) / nullif(offered_calls - short_abandons, 0) as service_level_rate,
    aht_seconds,
    cast(excluded_handles as bigint) as excluded_handles,
    cast(fcr_known_calls as bigint) as fcr_known_calls,
    cast(fcr_calls as double) / nullif(fcr_known_calls, 0) as fcr_rate,
    cast(repeat_contacts as bigint) as repeat_contacts,
    cast(repeat_contacts as double) / nullif(identified_calls, 0) as repeat_contact_rate,
    cast(complaints as bigint) as complaints,
    mean_satisfaction_score
from counted
where calls > 0
