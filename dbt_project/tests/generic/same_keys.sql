{#- Keys that only one of two relations holds. -#}
{% test same_keys(model, key, to) %}
select coalesce(here.{{ key }}, there.{{ key }}) as {{ key }}
from (select distinct {{ key }} from {{ model }}) as here
full outer join (select distinct {{ key }} from {{ to }}) as there
    on here.{{ key }} = there.{{ key }}
where
    here.{{ key }} is null
    or there.{{ key }} is null
{% endtest %}
