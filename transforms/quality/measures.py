"""Dataset rules as SQL: each query gives two counts and no value."""

from __future__ import annotations

from transforms.contracts import Entity
from transforms.contracts.dataset_rules import DatasetRule
from transforms.sql import columns, identifier, literal


def measure_query(rule: DatasetRule, entity: Entity, table: str) -> str:
    """SQL with one row over ``table``: ``measured`` (rows that the rule counts) and ``total`` (all rows).

    The number of rows is measured against nothing: its ``total`` is NULL.
    """
    if rule.metric == "rowCount":
        return f"SELECT count(*) AS measured, NULL AS total FROM {table}"
    if rule.metric == "duplicateValues":
        return _duplicates(rule, table)
    condition = {
        "nullValues": lambda: f"{identifier(rule.columns[0])} IS NULL",
        "missingValues": lambda: _missing(rule, entity),
        "invalidValues": lambda: _invalid(rule, entity),
    }[rule.metric]()
    return f"SELECT count(*) FILTER (WHERE {condition}) AS measured, count(*) AS total FROM {table}"


def _duplicates(rule: DatasetRule, table: str) -> str:
    """Rows beyond the first of each value; as with UNIQUE in SQL, a row with a NULL repeats nothing.

    Grouping spills to disk where a count of distinct values would not.
    """
    given = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in rule.columns)
    groups = f"SELECT count(*) AS n FROM {table} WHERE {given} GROUP BY {columns(rule.columns)}"
    return (
        f"SELECT coalesce((SELECT CAST(sum(n - 1) AS BIGINT) FROM ({groups}) AS g), 0) AS measured,"
        f" (SELECT count(*) FROM {table}) AS total"
    )


def _missing(rule: DatasetRule, entity: Entity) -> str:
    name = identifier(rule.columns[0])
    return f"{name} IS NULL OR {_is_one_of(rule, entity)}" if rule.values else f"{name} IS NULL"


def _invalid(rule: DatasetRule, entity: Entity) -> str:
    name = identifier(rule.columns[0])
    faults = [f"NOT {_is_one_of(rule, entity)}"] if rule.values else []
    if rule.pattern is not None:
        faults.append(f"NOT regexp_matches(CAST({name} AS VARCHAR), {literal(rule.pattern)})")
    return f"{name} IS NOT NULL AND ({' OR '.join(faults)})"


def _is_one_of(rule: DatasetRule, entity: Entity) -> str:
    """A listed value that does not fit the column's type is none that the column could hold."""
    name, kind = identifier(rule.columns[0]), entity.column(rule.columns[0]).physical_type
    listed = ", ".join(f"TRY_CAST({literal(value)} AS {kind})" for value in rule.values)
    return f"coalesce({name} IN ({listed}), false)"
