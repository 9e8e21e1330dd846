{{ config(
    materialized='incremental',
    unique_key=['entity', 'identity_key'],
    incremental_strategy='delete+insert',
    pre_hook='{{ forget_rebuilt_entities() }}',
    post_hook='{{ remember_contents() }}'
) }}
{%- set identifiers = ['email', 'phone', 'loyalty_id', 'device_id', 'app_user_id', 'payment_token'] %}
{%- set names = identifiers | reject('in', ['phone', 'device_id']) %}
{%- set carried = {
    'transactions': ['email', 'phone', 'loyalty_id', 'app_user_id', 'payment_token'],
    'app_events': ['email', 'phone', 'loyalty_id', 'device_id', 'app_user_id'],
    'store_visits': identifiers,
    'hotline_calls': ['email', 'phone', 'loyalty_id', 'app_user_id'],
    'profiles': ['email', 'phone', 'loyalty_id', 'app_user_id'],
    'consents': ['email', 'phone', 'loyalty_id', 'device_id', 'app_user_id'],
    'surveys': ['email', 'phone', 'loyalty_id', 'device_id', 'app_user_id'],
    'messages': ['email', 'phone', 'loyalty_id', 'device_id', 'app_user_id'],
    'cases': ['email', 'phone', 'loyalty_id', 'app_user_id'],
    'returns': ['email', 'phone', 'loyalty_id', 'app_user_id', 'payment_token'],
    'reviews': ['email', 'phone', 'loyalty_id', 'app_user_id'],
} -%}
{%- set plan = increment_plan() -%}

with

records as (
    {%- for entity, columns in carried.items() %}
    select
        '{{ entity }}' as entity,
        source,
        {%- for identifier in identifiers %}
        {{ identifier if identifier in columns else 'cast(null as string) as ' ~ identifier }},
        {%- endfor %}
        occurred_at
    from {{ rows_of_step(ref('stg_' ~ entity), increment_of(plan, entity)) }}
    {% if not loop.last -%}
    union all
    {%- endif -%}
    {%- endfor %}
),

-- Grouped by what the key is made of, so that the hash is taken once for each combination and not for each record.
combinations as (
    select
        entity,
        source,
        {{ identifiers | join(',\n        ') }},
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at,
        count(*) as records
    from records
    where coalesce({{ identifiers | join(', ') }}) is not null
    group by
        entity,
        source,
        {{ identifiers | join(',\n        ') }},
        case when coalesce({{ names | join(', ') }}) is null then date_trunc('month', occurred_at) end
),

new_sightings as (
    select
        {{ identity_key(
            'source',
            'first_seen_at',
            email='email',
            phone='phone',
            loyalty_id='loyalty_id',
            device_id='device_id',
            app_user_id='app_user_id',
            payment_token='payment_token'
        ) }} as identity_key,
        combinations.*
    from combinations
),

sightings as (
    select
        identity_key,
        entity,
        source,
        {{ identifiers | join(',\n        ') }},
        first_seen_at,
        last_seen_at,
        records
    from new_sightings
    {% if is_incremental() %}
    union all

    select
        identity_key,
        entity,
        source,
        {{ identifiers | join(',\n        ') }},
        first_seen_at,
        last_seen_at,
        records
    from {{ this }}
    where (entity, identity_key) in (select (new_sightings.entity, new_sightings.identity_key) from new_sightings)
    {% endif %}
)

select
    identity_key,
    entity,
    source,
    {{ identifiers | join(',\n    ') }},
    min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at,
    cast(sum(records) as bigint) as records
from sightings
group by identity_key, entity, source, {{ identifiers | join(', ') }}
