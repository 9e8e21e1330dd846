{%- set identifiers = ['email', 'phone', 'loyalty_id', 'device_id', 'app_user_id', 'payment_token'] -%}
{%- set told = ['identity_key', 'source'] + identifiers + ['first_seen_at', 'last_seen_at', 'records'] -%}

with

combinations as (
    select
        identity_key,
        source,
        {{ identifiers | join(',\n        ') }},
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        cast(sum(records) as bigint) as records
    from {{ ref('int_identity_sightings') }}
    group by identity_key, source, {{ identifiers | join(', ') }}
),

cleared as (
    select
        combinations.identity_key,
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

select
    *,
    {{ fingerprint(told) }} as fingerprint
from cleared
where coalesce({{ identifiers | join(', ') }}) is not null
