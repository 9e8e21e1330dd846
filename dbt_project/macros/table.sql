{#-
  A table takes the place of its former self in one transaction. The adapter's own way gives both other names first, asks
  for indexes and drops the former one afterwards: eight statements and three calls of macros for each table, which
  is for keys and catalogs that no table here has.
-#}
{% materialization table, adapter='duckdb' -%}
    {%- set former = load_cached_relation(this) -%}
    {%- set target = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- call statement('main') -%}
        {%- if former is not none %}
    drop {{ former.type }} {{ former }};
        {%- endif %}
    {{ create_table_as(False, target, compiled_code) }}
    {%- endcall -%}
    {%- do persist_docs(target, model) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target]}) }}
{%- endmaterialization %}
