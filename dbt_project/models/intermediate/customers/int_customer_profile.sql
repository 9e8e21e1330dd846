{%- set golden = ['email', 'phone', 'loyalty_id'] -%}
{%- set counted = golden + ['device_id', 'app_user_id', 'payment_token'] -%}

with

linked as (
    select
        customer_id,
        identifier_type,
        identifier_value,
        identifier_masked,
        sources,
        last_seen_at,
        records
    from {{ source('identity', 'identifiers') }}
    where
        status = 'linked'
        and customer_id is not null
),

-- Survivorship: of the values that identity linked to the customer, the one seen last; then the one with the
-- most records. Value, mask and provenance are taken from the same row, so that they never mix.
ranked as (
    select
        *,
        row_number() over (
            partition by customer_id, identifier_type
            order by last_seen_at desc, records desc, identifier_value asc
        ) as place
    from linked
    where identifier_type in {{ text_list(golden) }}
),

survivors as (
    select
        {%- for type in golden %}
        max(case when identifier_type = '{{ type }}' then identifier_value end) as {{ type }},
        max(case when identifier_type = '{{ type }}' then identifier_masked end) as {{ type }}_masked,
        max(case when identifier_type = '{{ type }}' then sources end) as {{ type }}_source,
        max(case when identifier_type = '{{ type }}' then last_seen_at end) as {{ type }}_seen_at,
        {%- endfor %}
        customer_id
    from ranked
    where place = 1
    group by customer_id
),

counts as (
    select
        customer_id,
        {%- for type in counted %}
        count(case when identifier_type = '{{ type }}' then 1 end) as {{ type }}_count,
        {%- endfor %}
        count(*) as identifiers
    from linked
    group by customer_id
)

select
    counts.customer_id,
    {%- for type in golden %}
    survivors.{{ type }},
    survivors.{{ type }}_masked,
    survivors.{{ type }}_source,
    survivors.{{ type }}_seen_at,
    {%- endfor %}
    {%- for type in counted %}
    cast(counts.{{ type }}_count as bigint) as {{ type }}_count,
    {%- endfor %}
    cast(counts.identifiers as bigint) as identifiers
from counts
left join survivors
    on counts.customer_id = survivors.customer_id
