{%- set named = ['app', 'web', 'store', 'hotline'] -%}
{%- set window_start = add_days(as_of_date(), 0 - var('channel_window_days')) -%}

with

channels as (
    select
        customer_id,
        channel,
        count(*) as touchpoints,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at,
        max(occurred_date) as last_seen_date
    from {{ ref('customer_timeline') }}
    group by customer_id, channel
),

ranked as (
    select
        *,
        channel in {{ text_list(var('online_channels')) }} as is_online,
        channel in {{ text_list(var('offline_channels')) }} as is_offline,
        last_seen_date > {{ window_start }} as is_recent,
        row_number() over (
            partition by customer_id
            order by touchpoints desc, last_seen_at desc, channel asc
        ) as weight_place,
        row_number() over (partition by customer_id order by first_seen_at asc, channel asc) as time_place
    from channels
),

customers as (
    select
        customer_id,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        max(case when time_place = 1 then channel end) as acquisition_channel,
        max(case when weight_place = 1 then channel end) as primary_channel,
        sum(touchpoints) as touchpoints,
        {%- for channel in named %}
        sum(case when channel = '{{ channel }}' then touchpoints else 0 end) as {{ channel }}_touchpoints,
        {%- endfor %}
        sum(case when channel in {{ text_list(named) }} then 0 else touchpoints end) as other_touchpoints,
        sum(case when is_online then touchpoints else 0 end) as online_touchpoints,
        max(case when is_online and is_recent then 1 else 0 end) as used_online,
        max(case when is_offline and is_recent then 1 else 0 end) as used_offline
    from ranked
    group by customer_id
)

select
    customer_id,
    first_seen_at,
    last_seen_at,
    acquisition_channel,
    primary_channel,
    cast(touchpoints as bigint) as touchpoints,
    {%- for channel in named + ['other'] %}
    cast({{ channel }}_touchpoints as bigint) as {{ channel }}_touchpoints,
    cast({{ channel }}_touchpoints as double) / touchpoints as {{ channel }}_share,
    {%- endfor %}
    used_online = 1 and used_offline = 1 as is_multi_channel,
    cast(online_touchpoints as double) / touchpoints > {{ var('mostly_online_share') }} as is_mostly_online
from customers
