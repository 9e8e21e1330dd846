{#- Values that more than one row has, and null: unique and not_null in one test and one scan. -#}
{% test key(model, column_name) %}
select {{ column_name }}, count(*) as occurrences
from {{ model }}
group by {{ column_name }}
having count(*) > 1 or {{ column_name }} is null
{% endtest %}
