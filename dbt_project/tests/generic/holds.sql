{#- Rows for which a statement is false or unknown. -#}
{% test holds(model, statement) %}
select *
from {{ model }}
where not coalesce({{ statement }}, false)
{% endtest %}
