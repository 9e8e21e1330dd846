{#- Rows in which any of the columns lies outside the closed range; null passes. -#}
{% test within(model, columns, at_least=none, at_most=none) %}
select *
from {{ model }}
where
    false
    {% for column in columns -%}
    {% if at_least is not none %}or {{ column }} < {{ at_least }}
    {% endif -%}
    {% if at_most is not none %}or {{ column }} > {{ at_most }}
    {% endif -%}
    {% endfor -%}
{% endtest %}
