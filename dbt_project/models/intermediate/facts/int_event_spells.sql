{{ config(
    materialized='incremental',
    unique_key='spell_key',
    incremental_strategy='delete+insert',
    post_hook='{{ remember_contents() }}'
) }}
{%- set increment = increment_of(increment_plan(), 'app_events') -%}
{%- set columns = [
    'identity_key', 'device_id', 'record_id', 'source', 'channel', 'entry_campaign', 'started_at', 'ended_at',
    'events', 'product_views', 'carts', 'checkouts', 'purchases', 'referrals'
] -%}

with

new_events as (
    select
        -- Whoever sent the event: its identifiers; without any, what the source calls a session.
        coalesce(identity_key, source || ':' || session_id, record_id) as spell_key,
        identity_key,
        device_id,
        record_id,
        source,
        channel,
        campaign as entry_campaign,
        occurred_at as started_at,
        occurred_at as ended_at,
        1 as events,
        case when event_name = 'product_view' then 1 else 0 end as product_views,
        case when event_name = 'add_to_cart' then 1 else 0 end as carts,
        case when event_name = 'checkout' then 1 else 0 end as checkouts,
        case when event_name = 'purchase' then 1 else 0 end as purchases,
        case when event_name = 'referral' then 1 else 0 end as referrals
    from {{ rows_of_step(ref('stg_app_events'), increment) }}
),

-- An event is a spell of no length; a new one may prolong a spell, or join two.
pieces as (
    select
        spell_key,
        {{ columns | join(',\n        ') }}
    from new_events
    {% if is_incremental() %}
    union all

    select
        spell_key,
        {{ columns | join(',\n        ') }}
    from {{ this }}
    where spell_key in (select new_events.spell_key from new_events)
    {% endif %}
),

{{ joined_spells('pieces', 'spell_key', var('session_gap_minutes')) }}

select
    spell_key,
    max(identity_key) as identity_key,
    max(device_id) as device_id,
    {{ summed_spell() }}
from numbered
group by spell_key, spell_number
