{#-
  Spells: stretches of events with no gap over so many minutes. Joining spells gives what joining their events would
  give, because a spell has no longer gap within: so events make spells, spells make sessions, and pings make visits.
-#}

{#-
  CTE numbered: the pieces (started_at, ended_at, record_id) with the number of the spell that each belongs to, per key,
  and is_start on its first.
-#}
{% macro joined_spells(pieces, key, gap_minutes) -%}
preceded as (
    select
        *,
        max(ended_at) over (
            partition by {{ key }}
            order by started_at asc, record_id asc
            rows between unbounded preceding and 1 preceding
        ) as previous_at
    from {{ pieces }}
),

starts as (
    select
        *,
        case
            when previous_at is null then 1
            when {{ seconds_between('previous_at', 'started_at') }} > {{ gap_minutes * 60 }} then 1
            else 0
        end as is_start
    from preceded
),

numbered as (
    select
        *,
        sum(is_start) over (
            partition by {{ key }}
            order by started_at asc, record_id asc
            rows between unbounded preceding and current row
        ) as spell_number
    from starts
)
{%- endmacro %}

{#- Columns of a spell from the pieces that it is joined of: what came first from its first, the rest in sum. -#}
{% macro summed_spell() -%}
    {%- for column in ['record_id', 'source', 'channel', 'entry_campaign'] %}
    max(case when is_start = 1 then {{ column }} end) as {{ column }},
    {%- endfor %}
    min(started_at) as started_at,
    max(ended_at) as ended_at,
    {%- for column in ['events', 'product_views', 'carts', 'checkouts', 'purchases', 'referrals'] %}
    cast(sum({{ column }}) as bigint) as {{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
