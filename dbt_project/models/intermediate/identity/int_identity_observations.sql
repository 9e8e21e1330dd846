{%- set identifiers = ['email', 'phone', 'loyalty_id', 'device_id', 'app_user_id', 'payment_token'] %}
{%- set carried = {
    'stg_transactions': ['email', 'phone', 'loyalty_id', 'app_user_id', 'payment_token'],
    'stg_app_events': ['email', 'phone', 'loyalty_id', 'device_id', 'app_user_id'],
    'stg_store_visits': identifiers,
    'stg_hotline_calls': ['email', 'phone', 'loyalty_id', 'app_user_id'],
    'stg_profiles': ['email', 'phone', 'loyalty_id', 'app_user_id'],
    'stg_consents': ['email', 'phone', 'loyalty_id', 'device_id', 'app_user_id'],
    'stg_surveys': ['email', 'phone', 'loyalty_id', 'device_id', 'app_user_id'],
    'stg_messages': ['email', 'phone', 'loyalty_id', 'device_id', 'app_user_id'],
    'stg_cases': ['email', 'phone', 'loyalty_id', 'app_user_id'],
    'stg_returns': ['email', 'phone', 'loyalty_id', 'app_user_id', 'payment_token'],
    'stg_reviews': ['email', 'phone', 'loyalty_id', 'app_user_id'],
} -%}

with

records as (
    {%- for model, columns in carried.items() %}
    select
        source,
        {%- for identifier in identifiers %}
        {{ identifier if identifier in columns else 'cast(null as string) as ' ~ identifier }},
        {%- endfor %}
        occurred_at
    from {{ ref(model) }}
    {% if not loop.last -%}
    union all
    {%- endif -%}
    {%- endfor %}
),

-- Grouped by the raw values, so that the hash is taken once for each combination and not for each record.
combinations as (
    select
        source,
        {{ identifiers | join(',\n        ') }},
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at,
        count(*) as records
    from records
    where coalesce({{ identifiers | join(', ') }}) is not null
    group by source, {{ identifiers | join(', ') }}
),

keyed as (
    select
        {{ identity_key(
            'combinations.source',
            email='combinations.email',
            phone='combinations.phone',
            loyalty_id='combinations.loyalty_id',
            device_id='combinations.device_id',
            app_user_id='combinations.app_user_id',
            payment_token='combinations.payment_token'
        ) }} as identity_key,
        combinations.source,
        combinations.email,
        combinations.phone,
        combinations.loyalty_id,
        -- A sensor or a demonstration device says nothing about who stands in front of it.
        case when infrastructure.device_id is null then combinations.device_id end as device_id,
        combinations.app_user_id,
        combinations.payment_token,
        combinations.first_seen_at,
        combinations.last_seen_at,
        combinations.records
    from combinations
    left join {{ ref('int_infrastructure_devices') }} as infrastructure
        on combinations.device_id = infrastructure.device_id
)

select *
from keyed
where coalesce({{ identifiers | join(', ') }}) is not null
