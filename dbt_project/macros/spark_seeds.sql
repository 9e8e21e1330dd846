{#-
  Loads a seed on Spark. dbt-spark's own macro binds values, and its session method puts them between quotes as they
  are, so that a segment named Can't Lose Them breaks the statement. Here the literal is written out, escaped.
-#}
{% macro spark__load_csv_rows(model, agate_table) %}
    {% set types = model['config'].get('column_types', {}) %}
    {% set tuples = [] %}
    {% for row in agate_table.rows %}
        {% set values = [] %}
        {% for column in agate_table.column_names %}
            {% set type = types.get(column, adapter.convert_type(agate_table, loop.index0)) %}
            {% set text = row[loop.index0] | string | replace('\\', '\\\\') | replace("'", "\\'") %}
            {% set literal = 'null' if row[loop.index0] is none else "'" ~ text ~ "'" %}
            {% do values.append('cast(' ~ literal ~ ' as ' ~ type ~ ')') %}
        {% endfor %}
        {% do tuples.append('(' ~ values | join(', ') ~ ')') %}
    {% endfor %}
    {% if not tuples %}{{ return('') }}{% endif %}
    {% set sql = 'insert into ' ~ this.render() ~ ' values ' ~ tuples | join(', ') %}
    {% do adapter.add_query(sql, abridge_sql_log=true) %}
    {{ return(sql) }}
{% endmacro %}
