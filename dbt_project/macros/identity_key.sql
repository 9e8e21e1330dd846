{#-
  Key of the raw identifiers that a record carries, null where it carries none; an empty text is none. Records
  with the same source and the same identifiers share a key, so identity resolution looks at each combination
  once. The order of the parts is fixed, and the separator is the unit separator, which no identifier holds.
-#}
{% macro identity_key(source, email=none, phone=none, loyalty_id=none, device_id=none, app_user_id=none, payment_token=none) -%}
    {%- set columns = [email, phone, loyalty_id, device_id, app_user_id, payment_token] -%}
    case
        when coalesce(
            {%- for column in columns | select %}nullif({{ column }}, ''){{ ', ' if not loop.last }}{% endfor -%}
        ) is not null
            then md5(
                {{ source }}
                {%- for column in columns %}
                || chr(31){% if column %} || coalesce({{ column }}, ''){% endif %}
                {%- endfor %}
            )
    end
{%- endmacro %}
