{#- Files of which rows were lost or invented: read must equal accepted + quarantined + duplicates. -#}
{% test row_account_balances(model, read, parts) %}
select *
from {{ model }}
where
    {{ read }} is null
    {% for part in parts -%}
    or {{ part }} is null
    {% endfor -%}
    or {{ read }} <> {{ parts | join(' + ') }}
{% endtest %}
