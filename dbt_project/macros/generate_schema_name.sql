{#- Schemas carry exactly the name a model asks for: readers type marts.customer_360, not main_marts. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
