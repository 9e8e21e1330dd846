{#- Groups over which a share does not add up to the whole; a group in which every share is null has no whole. -#}
{% test adds_up_to_one(model, column, per=none) %}
select sum({{ column }}) as total
from {{ model }}
{% if per is not none %}group by {{ per }}
{% endif -%}
having abs(sum({{ column }}) - 1) > 0.000000001
{% endtest %}
