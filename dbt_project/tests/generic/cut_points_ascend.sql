{#- Measures that lack one of their four cut points, or whose cut points do not ascend. -#}
{% test cut_points_ascend(model) %}
select measure, currency
from (
    select
        measure,
        currency,
        value - lag(value) over (partition by measure, currency order by cut asc) as step
    from {{ model }}
) as steps
group by measure, currency
having count(*) <> 4 or min(step) < 0
{% endtest %}
