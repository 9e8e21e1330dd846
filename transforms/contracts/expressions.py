"""SQL that contracts bring along: parsed by DuckDB, kept to plain expressions over known columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import duckdb

# Scalar functions that reach out of the row: files, variables, sequences, the clock.
_FORBIDDEN_FUNCTIONS = frozenset(
    {"getenv", "getvariable", "nextval", "currval", "random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7"}
    | {"now", "current_date", "current_timestamp", "today", "get_current_time", "get_current_timestamp"}
    | {
        "transaction_timestamp",
        "query",
        "read_text",
        "read_blob",
        "set_config",
        "current_setting",
        "txid_current",
    }
    | {
        "current_localtime",
        "current_localtimestamp",
        "write_log",
        "current_query",
        "localtime",
        "localtimestamp",
    }
)


class ExpressionError(ValueError):
    """The expression does not parse, or does more than compute from one row."""


@cache
def referenced_columns(expression: str) -> tuple[tuple[str, ...], ...]:
    """Column references of a scalar SQL expression, each as its dotted parts.

    Raises:
        ExpressionError: the text is no single expression, or has a subquery, an aggregate over rows,
            the clock, a random number or anything else that is not a function of the row.
    """
    with duckdb.connect() as connection:
        row = connection.execute("SELECT json_serialize_sql(?)", [f"SELECT {expression}\n"]).fetchone()
    tree: dict[str, Any] = json.loads(row[0]) if row else {"error": True}
    if tree.get("error"):
        raise ExpressionError(f"not SQL: {tree.get('error_message', 'cannot be parsed')}")
    statements = tree["statements"]
    node = statements[0]["node"]
    if len(statements) != 1 or node["type"] != "SELECT_NODE" or len(node["select_list"]) != 1:
        raise ExpressionError("not a single expression")
    if node["from_table"]["type"] != "EMPTY" or node.get("where_clause") or node.get("modifiers"):
        raise ExpressionError("more than an expression: FROM, WHERE and the like are not allowed")
    columns: list[tuple[str, ...]] = []
    lambda_parameters: set[str] = set()
    for item in _nodes(node["select_list"][0]):
        kind = item.get("class")
        if kind in {"SUBQUERY", "WINDOW", "STAR", "PARAMETER"}:
            raise ExpressionError(f"{kind.lower()} is not allowed: only one row is in sight")
        if kind == "FUNCTION":
            function = str(item.get("function_name", "")).lower()
            if function in _FORBIDDEN_FUNCTIONS or function in _aggregates():
                raise ExpressionError(f"{function}() is not allowed: the result must depend on the row alone")
        if kind == "LAMBDA":
            lambda_parameters |= {name for part in _nodes(item.get("lhs", {})) for name in part.get("column_names", [])}
        if kind == "COLUMN_REF":
            columns.append(tuple(item["column_names"]))
    return tuple(dict.fromkeys(parts for parts in columns if parts[0] not in lambda_parameters))


@cache
def _aggregates() -> frozenset[str]:
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT function_name FROM duckdb_functions() GROUP BY ALL HAVING bool_and(function_type = 'aggregate')"
        ).fetchall()
    return frozenset(name for (name,) in rows)


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        if "class" in tree:
            yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)
