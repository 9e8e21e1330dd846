{#-
  Models that hold what customers did, and nothing of anybody else: a run makes anew what the customers hold whom it
  reaches, and leaves the rest. int_customers_reached says who they are, of which build. A model that goes by it names
  under meta.reached whose rows it makes anew:
    customer  those of the reached customers (its column customer_id)
    nobody    those that belong to no customer, which have no other hold
    order     those of the reached orders (its columns source and order_id), whoever they belong to
  and keeps in a second table (<model>__contents), written in the transaction of its rows, which build they stand for.
  Where that is no build of the present count (a run by hand, other models, something gone from the lake, a day in the
  past: then int_customers_reached counts anew) the model is made in full.
-#}

{#- The model that knows. -#}
{% macro customers_reached() -%}
    {{ return(ref('int_customers_reached')) }}
{%- endmacro %}

{#-
  Said at the top of a model, outside of all conditions: what makes it one that goes by reach, and that dbt builds the
  one that knows before it. The latter only while dbt parses: a unit test, which is never an increment, then need not
  give that model.
-#}
{% macro go_by_reach() -%}
    {{- config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='fail',
        pre_hook='{{ forget_reached() }}',
        post_hook='{{ remember_reached() }}'
    ) -}}
    {%- if not execute -%}{%- do customers_reached() -%}{%- endif -%}
{%- endmacro %}

{#- Build up to which this model has taken up what was reached; none where that cannot be continued. -#}
{% macro taken_up_build() -%}
    {%- if not execute or not env_var('WATERSHED_INCREMENTS', '') -%}{{ return(none) }}{%- endif -%}
    {#- dbt asks whether a model is incremental some ten times: the warehouse is asked once. -#}
    {%- if 'taken_up_build' not in model -%}
        {%- do model.update({'taken_up_build': read_taken_up_build()}) -%}
    {%- endif -%}
    {{ return(model['taken_up_build']) }}
{%- endmacro %}

{% macro read_taken_up_build() -%}
    {%- set marks = load_cached_relation(this.incorporate(path={'identifier': this.identifier ~ '__contents'})) -%}
    {%- if marks is none -%}{{ return(none) }}{%- endif -%}
    {%- set query -%}
    select marks.build
    from {{ marks }} as marks
    inner join {{ customers_reached() }} as present
        on
            present.reached_type = 'build'
            and marks.reached_id = present.reached_id
    where marks.reached_id <> ''
    {%- endset -%}
    {%- set rows = run_query(query).rows -%}
    {{ return(rows[0][0] if rows else none) }}
{%- endmacro %}

{#- Ids of one type that were reached since; a subquery. -#}
{% macro reached_ids(type) -%}
    (
        select reached.reached_id from {{ customers_reached() }} as reached
        where reached.reached_type = '{{ type }}' and reached.build > {{ taken_up_build() }}
    )
{%- endmacro %}

{#- Whether a row is one of those that are made anew. -#}
{% macro is_reached(rows) -%}
    {%- set conditions = [] -%}
    {%- for type in config.get('meta').reached -%}
        {%- if type == 'nobody' -%}
            {%- do conditions.append(rows ~ '.customer_id is null') -%}
        {%- elif type == 'order' -%}
            {%- do conditions.append(rows ~ ".source || ':' || " ~ rows ~ '.order_id in ' ~ reached_ids('order')) -%}
        {%- else -%}
            {%- do conditions.append(rows ~ '.customer_id in ' ~ reached_ids('customer')) -%}
        {%- endif -%}
    {%- endfor -%}
    ({{ conditions | join(' or ') }})
{%- endmacro %}

{#- What a model reads: all rows where it is made in full, else those that are reached. A unit test has no table to keep. -#}
{% macro reached_rows(relation) -%}
    {%- if this is not none and is_incremental() -%}
    (select input_rows.* from {{ relation }} as input_rows where {{ is_reached('input_rows') }})
    {%- else -%}
    {{ relation }}
    {%- endif -%}
{%- endmacro %}

{#- Before the increment, and in its transaction: what is made anew goes. -#}
{% macro forget_reached() -%}
    {%- if execute and is_incremental() -%}
    delete from {{ this }} as former where {{ is_reached('former') }}
    {%- endif -%}
{%- endmacro %}

{#- After it, and in its transaction: which build the table stands for from now on. -#}
{% macro remember_reached() -%}
    {%- set marks = this.incorporate(path={'identifier': this.identifier ~ '__contents'}) -%}
    {%- if not env_var('WATERSHED_INCREMENTS', '') -%}
    drop table if exists {{ marks }}
    {%- else -%}
    create or replace table {{ marks }} as
    select reached_id, build from {{ customers_reached() }}
    where reached_type = 'build'
    {%- endif -%}
{%- endmacro %}

{#- What the identifiers said at the last build, kept beside int_customers_reached in the transaction of its rows. -#}
{% macro former_assignments() -%}
    {{ return(this.incorporate(path={'identifier': this.identifier ~ '__assignments'})) }}
{%- endmacro %}

{#- The identifiers that have another customer than then, for as long as the model is built. -#}
{% macro moved_assignments() -%}
    {{ return(this.identifier ~ '__moved') }}
{%- endmacro %}

{#- Before the increment: worked out once, for whom it reaches and for what is remembered after it. -#}
{% macro find_moved_assignments() -%}
    {%- if execute and is_incremental() -%}
    create or replace temporary table {{ moved_assignments() }} as
    select
        coalesce(present.identity_key, former.identity_key) as identity_key,
        present.customer_id,
        former.customer_id as former_customer_id
    from {{ source('identity', 'assignments') }} as present
    full outer join {{ former_assignments() }} as former on present.identity_key = former.identity_key
    where coalesce(present.customer_id, '') <> coalesce(former.customer_id, '')
    {%- endif -%}
{%- endmacro %}

{#- After it: a run writes what has moved, not all of a table that is nothing but keys. -#}
{% macro remember_assignments() -%}
    {%- if not env_var('WATERSHED_INCREMENTS', '') -%}
    drop table if exists {{ former_assignments() }}
    {%- elif execute and is_incremental() -%}
    delete from {{ former_assignments() }}
    where identity_key in (select moved.identity_key from {{ moved_assignments() }} as moved);
    insert into {{ former_assignments() }}
    select identity_key, customer_id from {{ moved_assignments() }}
    where customer_id is not null;
    drop table {{ moved_assignments() }}
    {%- else -%}
    create or replace table {{ former_assignments() }} as
    select identity_key, customer_id from {{ source('identity', 'assignments') }}
    {%- endif -%}
{%- endmacro %}

{#- A name for the builds that are counted from this one on: none before was called the same. -#}
{% macro era_of_builds() -%}
    {%- set folder = env_var('WATERSHED_INCREMENTS', '') if execute else '' -%}
    {%- if not folder -%}{{ return('') }}{%- endif -%}
    {{ return(run_query("select content from read_text('" ~ folder ~ "/era.txt')").rows[0][0]) }}
{%- endmacro %}
