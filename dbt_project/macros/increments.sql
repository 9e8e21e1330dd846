{#-
  Incremental models: how a model takes up what its entities have brought since it was built last.

  A model names its entities under meta.increment_of and keeps its table right by itself: in the one transaction that
  changes the table, a second table (<model>__contents) is written that says which batches, up to which day, and made
  by which models and contracts, the rows stand for. Whoever runs dbt compares these tables with the lake and passes
  the outcome in a folder (WATERSHED_INCREMENTS), for each model and entity one of
    same     nothing of the entity is new to the model
    added    rows came, by new batches or because as_of moved on, and none went or changed
    rebuilt  anything else: the entity's rows are read anew, all of them
  Without the folder every model is built in full, and forgets what it stands for: a run by hand is never an increment.
-#}
{% macro increment_plan() -%}
    {%- set folder = env_var('WATERSHED_INCREMENTS', '') if execute else '' -%}
    {%- if not folder -%}{{ return({}) }}{%- endif -%}
    {%- if 'increment_plan' not in model -%}
        {%- set text = run_query("select content from read_text('" ~ folder ~ "/plan.json')").rows[0][0] -%}
        {%- do model.update({'increment_plan': fromjson(text).get(model.name, {})}) -%}
    {%- endif -%}
    {{ return(model['increment_plan']) }}
{%- endmacro %}

{#- What a model does about an entity: {'step': same | added | rebuilt, 'batches': the new ones, 'after': the last day seen}. -#}
{% macro increment_of(plan, entity) -%}
    {{ return(plan.get(entity, {'step': 'rebuilt', 'batches': [], 'after': none})) }}
{%- endmacro %}

{#-
  dbt asks this of each incremental model: in full, unless at least one entity can be continued; or all of them, where
  meta.increment_whole says that the model has no way to forget the rows of one.
-#}
{% macro should_full_refresh() -%}
    {%- if config.get('full_refresh') is not none -%}{{ return(config.get('full_refresh')) }}{%- endif -%}
    {%- set meta = config.get('meta', {}) -%}
    {%- if 'increment_of' not in meta and 'reached' not in meta -%}{{ return(flags.FULL_REFRESH) }}{%- endif -%}
    {%- if flags.FULL_REFRESH or not execute -%}{{ return(true) }}{%- endif -%}
    {%- if 'reached' in meta -%}{{ return(taken_up_build() is none) }}{%- endif -%}
    {%- set plan = increment_plan() -%}
    {%- set continued = [] -%}
    {%- for entity in meta.increment_of if increment_of(plan, entity).step != 'rebuilt' -%}
        {%- do continued.append(entity) -%}
    {%- endfor -%}
    {{ return(continued | length < (meta.increment_of | length if meta.get('increment_whole') else 1)) }}
{%- endmacro %}

{#-
  Rows of a staging model that a step is about: all, the new ones, or none. The new ones are named by constants and
  in two parts, so that the engine passes over the files and row groups without them.
-#}
{% macro rows_of_step(relation, increment) -%}
    {%- if increment.step == 'rebuilt' -%}
    {{ relation }}
    {%- elif increment.step == 'same' -%}
    (select * from {{ relation }} where false)
    {%- else -%}
    (
        select * from {{ relation }}
        where {% if increment.batches %}_batch_id in {{ text_list(increment.batches) }}{% else %}false{% endif %}

        union all

        select * from {{ relation }}
        where
            occurred_at >= {{ day_start(add_days("cast('" ~ increment.after ~ "' as date)", 1)) }}
            {% if increment.batches -%} and _batch_id not in {{ text_list(increment.batches) }} {%- endif %}
    )
    {%- endif -%}
{%- endmacro %}

{#- After the table has changed, and in the same transaction: what it stands for from now on. -#}
{% macro remember_contents() -%}
    {%- set folder = env_var('WATERSHED_INCREMENTS', '') if execute else '' -%}
    {%- set marks = this.incorporate(path={'identifier': this.identifier ~ '__contents'}) -%}
    {%- if not folder -%}
    drop table if exists {{ marks }}
    {%- else -%}
    create or replace table {{ marks }} as
    select entity, batch, basis, as_of_date
    from read_json(
        '{{ folder }}/contents.json',
        format = 'newline_delimited',
        columns = {entity: 'VARCHAR', batch: 'VARCHAR', basis: 'VARCHAR', as_of_date: 'DATE'}
    )
    where entity in {{ text_list(config.get('meta').increment_of) }}
    {%- endif -%}
{%- endmacro %}

{#- Before an increment, and in the same transaction: the rows of entities that are read anew go. -#}
{% macro forget_rebuilt_entities() -%}
    {%- if execute and is_incremental() -%}
    {%- set plan = increment_plan() -%}
    {%- set rebuilt = [] -%}
    {%- for entity in config.get('meta').increment_of if increment_of(plan, entity).step == 'rebuilt' -%}
        {%- do rebuilt.append(entity) -%}
    {%- endfor -%}
    {%- if rebuilt -%}delete from {{ this }} where entity in {{ text_list(rebuilt) }}{%- endif -%}
    {%- endif -%}
{%- endmacro %}
