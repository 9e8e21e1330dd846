{#-
  Logs of what the runs of days said: per key the lines on which it became something else, so that a log grows by what
  changed. A run replaces the lines of its own day, and those of the day that was run next, as far as they rest on it:
  so the log depends on the days that were run and on what they said, never on the order of the runs.

  rows: CTE with the key and the columns of this day; key: its column; columns: those that are told, of which the first
  is never null in a row. A line without a key says that the day was run; a line whose first column is null says that
  the key is gone. Needs the config that int_rfm_log has.
-#}
{% macro day_log(rows, key, columns) -%}
{%- set list = columns | join(', ') -%}
{%- if is_incremental() %}
other_days as (
    select as_of_date, {{ key }}, {{ list }}
    from {{ this }}
    where as_of_date <> {{ as_of_date() }}
),

next_day as (
    select min(as_of_date) as as_of_date
    from other_days
    where as_of_date > {{ as_of_date() }}
),

-- The log as it stands, this day's former lines included: the state of the next day rests on them.
lines as (
    select
        log.*,
        row_number() over (partition by log.{{ key }} order by log.as_of_date desc nulls last) as place
    from {{ this }} as log
    where
        log.{{ key }} is not null
        and log.as_of_date <= (select next_day.as_of_date from next_day)
),

at_next_day as (
    select {{ key }}, {{ list }}
    from lines
    where place = 1 and {{ columns[0] }} is not null
),

earlier_lines as (
    select
        other_days.*,
        row_number() over (partition by {{ key }} order by as_of_date desc nulls last) as place
    from other_days
    where
        {{ key }} is not null
        and as_of_date < {{ as_of_date() }}
),

at_last_day as (
    select {{ key }}, {{ list }}
    from earlier_lines
    where place = 1 and {{ columns[0] }} is not null
),

new_lines as (
    select
        {{ as_of_date() }} as as_of_date,
        coalesce({{ rows }}.{{ key }}, at_last_day.{{ key }}) as {{ key }},
        {% for column in columns %}{{ rows }}.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
    from {{ rows }}
    full outer join at_last_day on {{ rows }}.{{ key }} = at_last_day.{{ key }}
    where {{ any_distinct(columns, rows, 'at_last_day') }}

    union all

    select
        next_day.as_of_date,
        coalesce(at_next_day.{{ key }}, {{ rows }}.{{ key }}) as {{ key }},
        {% for column in columns %}at_next_day.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
    from at_next_day
    full outer join {{ rows }} on at_next_day.{{ key }} = {{ rows }}.{{ key }}
    cross join next_day
    where next_day.as_of_date is not null and ({{ any_distinct(columns, 'at_next_day', rows) }})
),

run_days as (
    select {{ as_of_date() }} as as_of_date

    union all

    select as_of_date from next_day
    where as_of_date is not null
)
{%- else %}
new_lines as (
    select {{ as_of_date() }} as as_of_date, {{ key }}, {{ list }}
    from {{ rows }}
),

run_days as (
    select {{ as_of_date() }} as as_of_date
)
{%- endif %}
{%- endmacro %}

{#- The end of such a log: its lines, and one without a key for each day that it tells anew. -#}
{% macro day_log_lines(key, columns) -%}
select as_of_date, {{ key }}, {{ columns | join(', ') }}
from new_lines

union all

select
    run_days.as_of_date,
    nothing.{{ key }},
    {% for column in columns %}nothing.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
from run_days
left join (select * from new_lines where false) as nothing on 1 = 1
{%- endmacro %}

{#- Whether two rows differ in any of the columns; null is a value like any other. -#}
{% macro any_distinct(columns, one, other) -%}
{%- for column in columns -%}
{{ one }}.{{ column }} is distinct from {{ other }}.{{ column }}{{ ' or ' if not loop.last }}
{%- endfor -%}
{%- endmacro %}
