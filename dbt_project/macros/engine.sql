{#-
  All that DuckDB and Spark say differently, in one place; models hold SQL that both read.
  Own macros instead of dbt.dateadd, dbt.datediff and their kin: those differ between engines
  (dateadd gives NULL under TIMESTAMP_NTZ).
  Text is typed `string`, which DuckDB knows as an alias of VARCHAR and Spark as its own name.
-#}

{#- Seconds from start to end (DOUBLE, to the microsecond; negative where end lies before start). -#}
{% macro seconds_between(start_at, end_at) %}{{ return(adapter.dispatch('seconds_between')(start_at, end_at)) }}{% endmacro %}
{% macro duckdb__seconds_between(start_at, end_at) -%}
    (cast(epoch_us({{ end_at }}) - epoch_us({{ start_at }}) as double) / 1000000)
{%- endmacro %}
{% macro spark__seconds_between(start_at, end_at) -%}
    (cast(unix_micros(cast({{ end_at }} as timestamp_ltz)) - unix_micros(cast({{ start_at }} as timestamp_ltz)) as double) / 1000000)
{%- endmacro %}

{#- 64-bit hash of columns (BIGINT) that tells whether a row has changed; another engine or release gives another. -#}
{% macro fingerprint(columns) %}{{ return(adapter.dispatch('fingerprint')(columns)) }}{% endmacro %}
{% macro duckdb__fingerprint(columns) -%}
    cast(hash({{ columns | join(', ') }}) >> 1 as bigint)
{%- endmacro %}
{% macro spark__fingerprint(columns) -%}
    xxhash64({{ columns | join(', ') }})
{%- endmacro %}

{#- Seconds since 1970-01-01 00:00 UTC (DOUBLE). -#}
{% macro epoch_seconds(at) %}{{ return(adapter.dispatch('epoch_seconds')(at)) }}{% endmacro %}
{% macro duckdb__epoch_seconds(at) -%}
    (cast(epoch_us({{ at }}) as double) / 1000000)
{%- endmacro %}
{% macro spark__epoch_seconds(at) -%}
    (cast(unix_micros(cast({{ at }} as timestamp_ltz)) as double) / 1000000)
{%- endmacro %}

{#- Whole days from one DATE to another (BIGINT). -#}
{% macro days_between(start_date, end_date) %}{{ return(adapter.dispatch('days_between')(start_date, end_date)) }}{% endmacro %}
{% macro duckdb__days_between(start_date, end_date) -%}
    cast({{ end_date }} - {{ start_date }} as bigint)
{%- endmacro %}
{% macro spark__days_between(start_date, end_date) -%}
    cast(datediff({{ end_date }}, {{ start_date }}) as bigint)
{%- endmacro %}

{#- A DATE moved by a whole number of days, which may be a column. -#}
{% macro add_days(start_date, days) %}{{ return(adapter.dispatch('add_days')(start_date, days)) }}{% endmacro %}
{% macro duckdb__add_days(start_date, days) -%}
    ({{ start_date }} + cast({{ days }} as integer))
{%- endmacro %}
{% macro spark__add_days(start_date, days) -%}
    date_add({{ start_date }}, cast({{ days }} as int))
{%- endmacro %}

{#- DATE of a UTC timestamp in the business time zone. -#}
{% macro business_date(at) %}{{ return(adapter.dispatch('business_date')(at)) }}{% endmacro %}
{% macro duckdb__business_date(at) -%}
    {%- if business_timezone() == 'UTC' -%}
        cast({{ at }} as date)
    {%- else -%}
        cast(timezone('{{ business_timezone() }}', timezone('UTC', {{ at }})) as date)
    {%- endif -%}
{%- endmacro %}
{% macro spark__business_date(at) -%}
    cast(from_utc_timestamp({{ at }}, '{{ business_timezone() }}') as date)
{%- endmacro %}

{#- Array of all DATEs from one to another, both included. -#}
{% macro days_from_to(first_date, last_date) %}{{ return(adapter.dispatch('days_from_to')(first_date, last_date)) }}{% endmacro %}
{% macro duckdb__days_from_to(first_date, last_date) -%}
    cast(generate_series({{ first_date }}, {{ last_date }}, interval 1 day) as date[])
{%- endmacro %}
{% macro spark__days_from_to(first_date, last_date) -%}
    sequence({{ first_date }}, {{ last_date }}, interval 1 day)
{%- endmacro %}

{#- UTC timestamp at which a DATE of the business time zone begins. -#}
{% macro day_start(day) %}{{ return(adapter.dispatch('day_start')(day)) }}{% endmacro %}
{% macro duckdb__day_start(day) -%}
    timezone('UTC', timezone('{{ business_timezone() }}', cast({{ day }} as timestamp)))
{%- endmacro %}
{% macro spark__day_start(day) -%}
    cast(to_utc_timestamp(cast({{ day }} as timestamp_ntz), '{{ business_timezone() }}') as timestamp_ntz)
{%- endmacro %}

{#- Text of one field of a JSON column, null where it is missing. -#}
{% macro json_text(json, field) %}{{ return(adapter.dispatch('json_text')(json, field)) }}{% endmacro %}
{% macro duckdb__json_text(json, field) -%}
    json_extract_string({{ json }}, '$."{{ field }}"')
{%- endmacro %}
{% macro spark__json_text(json, field) -%}
    get_json_object({{ json }}, '$[''{{ field }}'']')
{%- endmacro %}

{#- One row for each element of an array column; for the select list. -#}
{% macro explode(array) %}{{ return(adapter.dispatch('explode')(array)) }}{% endmacro %}
{% macro duckdb__explode(array) -%} unnest({{ array }}) {%- endmacro %}
{% macro spark__explode(array) -%} explode({{ array }}) {%- endmacro %}

{#- Aggregate: the values in ascending order, nulls left out. -#}
{% macro sorted_array_agg(value) %}{{ return(adapter.dispatch('sorted_array_agg')(value)) }}{% endmacro %}
{% macro duckdb__sorted_array_agg(value) -%}
    coalesce(list({{ value }} order by {{ value }}) filter (where {{ value }} is not null), [])
{%- endmacro %}
{% macro spark__sorted_array_agg(value) -%} sort_array(collect_list({{ value }})) {%- endmacro %}

{#- A struct with the given fields; fields: mapping name → SQL expression. -#}
{% macro make_struct(fields) %}{{ return(adapter.dispatch('make_struct')(fields)) }}{% endmacro %}
{% macro duckdb__make_struct(fields) -%}
    struct_pack({% for name, value in fields.items() %}{{ name }} := {{ value }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}
{% macro spark__make_struct(fields) -%}
    named_struct({% for name, value in fields.items() %}'{{ name }}', {{ value }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{#- Number of elements of an array (BIGINT). -#}
{% macro array_len(array) %}{{ return(adapter.dispatch('array_len')(array)) }}{% endmacro %}
{% macro duckdb__array_len(array) -%} len({{ array }}) {%- endmacro %}
{% macro spark__array_len(array) -%} cast(size({{ array }}) as bigint) {%- endmacro %}

{#- Text without any match of a regular expression (one without backslashes: the engines escape differently). -#}
{% macro regex_strip(value, pattern) %}{{ return(adapter.dispatch('regex_strip')(value, pattern)) }}{% endmacro %}
{% macro duckdb__regex_strip(value, pattern) -%} regexp_replace({{ value }}, '{{ pattern }}', '', 'g') {%- endmacro %}
{% macro spark__regex_strip(value, pattern) -%} regexp_replace({{ value }}, '{{ pattern }}', '') {%- endmacro %}

{#- What the gate keeps beside an entity's accepted rows: which of them do not count, since when and until when. -#}
{% macro superseded_rows(entity) %}{{ return(adapter.dispatch('superseded_rows')(entity)) }}{% endmacro %}
{% macro duckdb__superseded_rows(entity) -%}
    read_parquet('{{ lake_path() }}/{{ entity }}/*/*/superseded.parquet')
{%- endmacro %}
{% macro spark__superseded_rows(entity) -%}
    parquet.`{{ lake_path() }}/{{ entity }}/*/*/superseded.parquet`
{%- endmacro %}

{#- Number of a DATE's month, counted through the years, so that the distance of two months is a difference. -#}
{% macro month_index(day) -%}
    (extract(year from {{ day }}) * 12 + extract(month from {{ day }}))
{%- endmacro %}
