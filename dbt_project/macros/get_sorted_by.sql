{#-
  The adapter asks each table for a setting sort_by, meant for DuckLake, and warns when it finds the key under meta
  instead, where it tells the publication how to sort its copy. No table here is DuckLake's.
-#}
{% macro duckdb__get_sorted_by(relation, temporary) -%}
    {{ return(none) }}
{%- endmacro %}
