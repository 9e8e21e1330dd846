{#- Intervals of days that leave a gap to the next one of their key, overlap it, or stay open before the last. -#}
{% test follows_without_gap(model, key, from_date, to_date) %}
select *
from (
    select
        {{ key }},
        {{ from_date }},
        {{ to_date }},
        lead({{ from_date }}) over (partition by {{ key }} order by {{ from_date }} asc nulls last) as next_from_date
    from {{ model }}
) as intervals
where
    (next_from_date is null) <> ({{ to_date }} is null)
    or {{ add_days(to_date, 1) }} <> next_from_date
{% endtest %}
