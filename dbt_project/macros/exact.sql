{#-
  Sums and means of measured seconds that do not depend on the order in which threads add them up: floating
  point addition is not associative, and two builds of the same data must not differ in the last digit.
-#}
{% macro exact_sum(value) -%}
    cast(sum(cast({{ value }} as decimal(18, 6))) as double)
{%- endmacro %}

{#- Null where there is nothing to average. -#}
{% macro exact_mean(value) -%}
    {{ exact_sum(value) }} / nullif(count({{ value }}), 0)
{%- endmacro %}
