{#- A list of texts for an IN. -#}
{% macro text_list(values) -%}
    ({% for value in values %}'{{ value }}'{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}
