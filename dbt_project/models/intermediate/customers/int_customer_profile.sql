{%- set golden = ['email', 'phone', 'loyalty_id'] -%}
{%- set counted = golden + ['device_id', 'app_user_id', 'payment_token'] -%}

-- Survivorship: of the values that identity linked to the customer, the one seen last; then the one with the
-- most records. Value, mask and provenance are taken from the same row, so that they never mix.
with

ranked as (
    select
        customer_id,
        identifier_type,
        identifier_value,
        identifier_masked,
        sources,
        last_seen_at,
        row_number() over (
            partition by customer_id, identifier_type
            order by last_seen_at desc, records desc, identifier_value asc
        ) as place
    from {{ source('identity', 'identifiers') }}
    where
        status = 'linked'
        and customer_id is not null
)

select
    customer_id,
    {%- for type in golden %}
    max(case when identifier_type = '{{ type }}' and place = 1 then identifier_value end) as {{ type }},
    max(case when identifier_type = '{{ type }}' and place = 1 then identifier_masked end) as {{ type }}_masked,
    max(case when identifier_type = '{{ type }}' and place = 1 then sources end) as {{ type }}_source,
    max(case when identifier_type = '{{ type }}' and place = 1 then last_seen_at end) as {{ type }}_seen_at,
    {%- endfor %}
    {%- for type in counted %}
    cast(count(case when identifier_type = '{{ type }}' then 1 end) as bigint) as {{ type }}_count,
    {%- endfor %}
    cast(count(*) as bigint) as identifiers
from ranked
group by customer_id
