{#-
  Key of the raw identifiers that a record carries, null where it carries none; an empty text is none. Records
  with the same source and the same identifiers share a key, so identity resolution looks at each combination
  once. The order of the parts is fixed, and the separator is the unit separator, which no identifier holds.

  A telephone number or a device by itself may pass to somebody else who never gives a name, and only a pause tells.
  So records that carry nothing else share a key within a calendar month (UTC) of `at`.
-#}
{% macro identity_key(source, at, email=none, phone=none, loyalty_id=none, device_id=none, app_user_id=none, payment_token=none) -%}
    {%- set columns = [email, phone, loyalty_id, device_id, app_user_id, payment_token] -%}
    case
        when {{ _any_of([email, loyalty_id, app_user_id, payment_token]) }} is not null
            then md5({{ _joined(source, columns) }})
        when {{ _any_of([phone, device_id]) }} is not null
            then md5({{ _joined(source, columns) }} || chr(31) || cast(cast(date_trunc('month', {{ at }}) as date) as string))
    end
{%- endmacro %}

{% macro _any_of(columns) -%}
    coalesce({% for column in columns | select %}nullif({{ column }}, ''), {% endfor %}null)
{%- endmacro %}

{% macro _joined(source, columns) -%}
    {{ source }}
    {%- for column in columns %}
                || chr(31){% if column %} || coalesce({{ column }}, ''){% endif %}
    {%- endfor %}
{%- endmacro %}
