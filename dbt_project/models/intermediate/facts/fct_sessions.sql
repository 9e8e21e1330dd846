{{ go_by_reach() }}

with

identified as (
    select
        spells.*,
        assignments.customer_id
    from {{ ref('int_event_spells') }} as spells
    left join {{ source('identity', 'assignments') }} as assignments
        on spells.identity_key = assignments.identity_key
),

spells as (
    select
        *,
        -- Without a customer the device stands for the person; without a device, whoever sent the events.
        coalesce(customer_id, device_id, spell_key) as visitor
    from {{ reached_rows('identified') }}
),

{{ joined_spells('spells', 'visitor', var('session_gap_minutes')) }},

sessions as (
    select
        customer_id,
        {{ summed_spell() }}
    from numbered
    group by customer_id, visitor, spell_number
)

select
    md5(record_id) as session_id,
    record_id,
    customer_id,
    channel,
    source,
    started_at,
    ended_at,
    {{ business_date('started_at') }} as session_date,
    events,
    product_views,
    carts,
    checkouts,
    purchases,
    referrals,
    entry_campaign
from sessions
