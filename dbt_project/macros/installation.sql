{#-
  What differs from installation to installation. A run passes it by the environment, read while executing: what dbt has
  parsed is then the same for all of them. The vars of the same names are for runs by hand and for unit tests.
-#}

{#- Folder of the Parquet lake. -#}
{% macro lake_path() -%}
    {{ return(env_var("WATERSHED_LAKE_PATH", var("lake_path")) if execute else var("lake_path")) }}
{%- endmacro %}

{#- IANA zone that cuts days. -#}
{% macro business_timezone() -%}
    {{ return(env_var("WATERSHED_TIMEZONE", var("business_timezone")) if execute else var("business_timezone")) }}
{%- endmacro %}

{#- A source, with the lake put in where its external_location says <lake>: YAML is read once, when dbt parses. -#}
{% macro source(source_name, table_name) -%}
    {%- set relation = builtins.source(source_name, table_name) -%}
    {%- if relation.external -%}
        {{ return(relation.replace(external=relation.external | replace("<lake>", lake_path()))) }}
    {%- endif -%}
    {{ return(relation) }}
{%- endmacro %}
