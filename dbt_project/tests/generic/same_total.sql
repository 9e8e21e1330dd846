{#- One row if a total of this model differs from a total of another: rows were lost or doubled on the way. -#}
{% test same_total(model, total, other, other_total, where='true', other_where='true') %}
with

totals as (
    select
        (select coalesce({{ total }}, 0) from {{ model }} where {{ where }}) as here,
        (select coalesce({{ other_total }}, 0) from {{ other }} where {{ other_where }}) as there
)

select *
from totals
where here <> there
{% endtest %}
