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
