{#-
  An amount in another currency, to the cent; null where no rate is known.
  rate: rate of the day between the two currencies, null where the seed has none.
-#}
{% macro converted_amount(amount, currency, to_currency, rate) -%}
    case
        when {{ currency }} = {{ to_currency }} then {{ amount }}
        else cast({{ amount }} * {{ rate }} as decimal(18, 2))
    end
{%- endmacro %}

{#- The currency that a run reports in, null where each customer keeps the own one. -#}
{% macro reporting_currency() -%}
    {%- if var('reporting_currency') -%}
        '{{ var("reporting_currency") }}'
    {%- else -%}
        cast(null as string)
    {%- endif -%}
{%- endmacro %}
