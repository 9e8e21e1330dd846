"""SQL that contracts bring along: parsed by DuckDB, kept to plain expressions over known columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import duckdb

# What DuckDB takes for functions of their arguments although they read the clock or the installation, or plan a query.
_FORBIDDEN_FUNCTIONS = frozenset(
    {"current_localtime", "current_localtimestamp", "in_search_path", "version"}
    | {"json_deserialize_sql", "json_serialize_plan", "json_serialize_sql"}
)
# Words that SQL calls without parentheses: clock and installation to whom the row has no column of that name.
_FUNCTION_WORDS = frozenset(
    {"current_catalog", "current_database", "current_date", "current_localtime", "current_localtimestamp"}
    | {"current_role", "current_schema", "current_time", "current_timestamp", "current_user", "localtime"}
    | {"localtimestamp", "now", "session_user", "system_user", "today", "transaction_timestamp", "user"}
)
# Macros have no mark for that, and many of them look into the catalog: these are the ones for values.
_MACROS = frozenset(
    {"date_add", "days_in_month", "fdiv", "fmod", "if", "json", "nullif", "split_part"}
    | {"md5_number_lower", "md5_number_upper"}
)
_MACRO_FAMILIES = ("array_", "list_", "map_contains_")


class ExpressionError(ValueError):
    """The expression does not parse, or does more than compute from one row."""


@cache
def referenced_columns(expression: str) -> tuple[tuple[str, ...], ...]:
    """Column references of a scalar SQL expression, each as its dotted parts.

    Raises:
        ExpressionError: the text is no single expression, or has a subquery, an aggregate over rows,
            the clock, a random number or anything else that is not a function of the row.
    """
    query = f"SELECT {expression}\n"
    node = _select_node(query)
    if node["from_table"]["type"] != "EMPTY" or node.get("where_clause") or node.get("modifiers"):
        raise ExpressionError("more than an expression: FROM, WHERE and the like are not allowed")
    if node["select_list"][0].get("alias"):
        raise ExpressionError("AS is not allowed: the name of the property is the name of the result")
    columns: list[tuple[str, ...]] = []
    lambda_parameters: set[str] = set()
    for item in _nodes(node["select_list"][0]):
        kind = item.get("class")
        if kind in {"SUBQUERY", "WINDOW", "STAR", "PARAMETER", "POSITIONAL_REFERENCE"}:
            raise ExpressionError(f"{kind.lower()} is not allowed: only one row is in sight")
        if kind == "FUNCTION":
            function = str(item.get("function_name", "")).lower()
            # age() of one moment is its distance from today.
            from_today = function == "age" and len(item.get("arguments") or ()) < 2
            if from_today or function not in _row_functions():
                raise ExpressionError(
                    f"{function}() is not allowed: not known, or not a function of the values of one row alone"
                )
        if kind == "LAMBDA":
            lambda_parameters |= {name for part in _nodes(item.get("lhs", {})) for name in part.get("column_names", [])}
        if kind == "COLUMN_REF":
            _refuse_function_word(item, query)
            columns.append(tuple(item["column_names"]))
    return tuple(dict.fromkeys(parts for parts in columns if parts[0] not in lambda_parameters))


@cache
def normal_form(expression: str) -> str:
    """The expression without what means nothing: comments, white space, redundant parentheses, case of key words.

    Raises:
        ExpressionError: the text is no single expression.
    """
    node = _select_node(f"SELECT {expression}\n")
    return json.dumps(_without_places(node), sort_keys=True)


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    """One empty database for all expressions: opening one takes longer than parsing."""
    return duckdb.connect()


def _select_node(query: str) -> dict[str, Any]:
    with _parser().cursor() as connection:
        row = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchone()
    tree: dict[str, Any] = json.loads(row[0]) if row else {"error": True}
    if tree.get("error"):
        raise ExpressionError(f"not SQL: {tree.get('error_message', 'cannot be parsed')}")
    statements = tree["statements"]
    node: dict[str, Any] = statements[0]["node"]
    if len(statements) != 1 or node["type"] != "SELECT_NODE" or len(node["select_list"]) != 1:
        raise ExpressionError("not a single expression")
    return node


def _without_places(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _without_places(value) for key, value in tree.items() if not key.startswith("query_location")}
    return [_without_places(item) for item in tree] if isinstance(tree, list) else tree


def _refuse_function_word(reference: dict[str, Any], query: str) -> None:
    names = reference["column_names"]
    if len(names) != 1 or str(names[0]).lower() not in _FUNCTION_WORDS:
        return
    # The parser counts bytes; in double quotes the word can only be meant as a column.
    if query.encode()[reference["query_location"] :].startswith(b'"'):
        return
    raise ExpressionError(
        f"{names[0]} is not allowed: it reads the clock or the installation;"
        f' a column of that name is written "{names[0]}", in double quotes'
    )


@cache
def _row_functions() -> frozenset[str]:
    """Names of the functions whose result depends on their arguments alone."""
    with duckdb.connect() as connection:
        scalar = connection.execute(
            "SELECT function_name FROM duckdb_functions() WHERE function_type = 'scalar'"
            " GROUP BY ALL HAVING bool_and(stability = 'CONSISTENT')"
        ).fetchall()
        macros = connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'macro'"
        ).fetchall()
    of_values = {name for (name,) in macros if name in _MACROS or name.startswith(_MACRO_FAMILIES)}
    named = {name for (name,) in scalar if not name.startswith("__internal")}
    return frozenset(named | of_values) - _FORBIDDEN_FUNCTIONS


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        if "class" in tree:
            yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)
