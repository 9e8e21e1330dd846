{#-
  Last day that counts (DATE). The only clock that models know. A run passes it by the environment: a changed --vars,
  or a variable that dbt meets while it parses, would have the whole project parsed anew each day. The var of the same
  name is for runs by hand and for unit tests.
-#}
{% macro as_of_date() -%}
    {%- set day = env_var("WATERSHED_AS_OF_DATE", var("as_of_date")) if execute else var("as_of_date") -%}
    cast('{{ day }}' as date)
{%- endmacro %}

{#-
  Whether a UTC timestamp lies on or before as_of. Compares with the first moment after it, so that
  the engine can prune files by their statistics instead of turning each row into a date.
-#}
{% macro is_known(at) -%}
    {{ at }} < {{ day_start(add_days(as_of_date(), 1)) }}
{%- endmacro %}

{#-
  Accepted rows of an entity as they were known at the end of the as_of day: of each key the version that counted
  then. Rows whose own moment lies after as_of are left to is_known.
-#}
{% macro known_rows(entity) -%}
    (
        select accepted.*
        from {{ source('lake', entity) }} as accepted
        where
            not exists (
                select 1
                from {{ superseded_rows(entity) }} as superseded
                where
                    accepted._batch_id = superseded._batch_id
                    and accepted._row = superseded._row
                    and superseded._from_at < {{ day_start(add_days(as_of_date(), 1)) }}
                    and superseded._until_at >= {{ day_start(add_days(as_of_date(), 1)) }}
            )
    )
{%- endmacro %}
