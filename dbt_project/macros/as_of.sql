{#- Last day that counts (DATE). The only clock that models know. -#}
{% macro as_of_date() -%}
    cast('{{ var("as_of_date") }}' as date)
{%- endmacro %}

{#-
  Whether a UTC timestamp lies on or before as_of. Compares with the first moment after it, so that
  the engine can prune files by their statistics instead of turning each row into a date.
-#}
{% macro is_known(at) -%}
    {{ at }} < {{ day_start(add_days(as_of_date(), 1)) }}
{%- endmacro %}
