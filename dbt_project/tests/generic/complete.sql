{#- Rows that lack a value in one of several columns: not_null for all of them in one scan. -#}
{% test complete(model, columns) %}
select {{ columns | join(', ') }}
from {{ model }}
where
    false
    {% for column in columns -%}
    or {{ column }} is null
    {% endfor -%}
{% endtest %}
