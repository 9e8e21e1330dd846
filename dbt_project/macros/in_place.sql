{#-
  Tables and views take the place of their former selves in one transaction. The adapter's own way gives both other
  names first, asks for indexes and drops the former one afterwards: eight statements and three calls of macros for
  each, which is for keys and catalogs that nothing here has.
-#}
{% materialization table, adapter='duckdb' -%}
    {%- set target = this.incorporate(type='table') -%}
    {{ return(put_in_place(target, create_table_as(False, target, compiled_code))) }}
{%- endmaterialization %}

{% materialization view, adapter='duckdb' -%}
    {%- set target = this.incorporate(type='view') -%}
    {{ return(put_in_place(target, get_create_view_as_sql(target, compiled_code))) }}
{%- endmaterialization %}

{% macro put_in_place(target, create) -%}
    {%- set former = load_cached_relation(this) -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- call statement('main') -%}
        {%- if former is not none %}
    drop {{ former.type }} {{ former }};
        {%- endif %}
    {{ create }}
    {%- endcall -%}
    {%- do persist_docs(target, model) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target]}) }}
{%- endmacro %}
