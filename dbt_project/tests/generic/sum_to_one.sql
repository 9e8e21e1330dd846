{#- Rows whose shares do not add up to the whole; a row in which every share is null has no whole. -#}
{% test sum_to_one(model, columns) %}
select *
from {{ model }}
where
    coalesce({{ columns | join(', ') }}) is not null
    and coalesce(abs({{ columns | join(' + ') }} - 1) > 0.000000001, true)
{% endtest %}
