"""Are the marts as planned? Asked before anything is written."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from transforms.publishing.errors import PublicationError
from transforms.publishing.plan import PublicationPlan, PublishedTable
from transforms.publishing.readable import unreadable_columns
from transforms.publishing.sql import SOURCE, qualified

# Without customers every other table is a report about nobody: a broken run, not news.
_NEVER_EMPTY = "customer_360"


@dataclass(frozen=True)
class MartShape:
    """A mart in the warehouse: view or table, and the columns that its YAML doesn't declare."""

    is_view: bool
    undeclared: tuple[str, ...]


def inspect_marts(connection: duckdb.DuckDBPyConnection, plan: PublicationPlan) -> dict[str, MartShape]:
    """Return the shape of every planned mart of the attached warehouse, by table name.

    Raises PublicationError with every fault at once: tables or columns that are missing, columns of
    a type that BI clients can't read, and a customer table without rows.
    """
    problems: list[str] = []
    shapes = {table.name: _inspect(connection, table, problems) for table in plan.tables}
    if problems:
        raise PublicationError("The marts can't be published; the published file stays as it was:", problems)
    return shapes


def _inspect(connection: duckdb.DuckDBPyConnection, table: PublishedTable, problems: list[str]) -> MartShape:
    # DuckDB compares identifiers without case; so do these lookups.
    types: dict[str, str] = dict(
        connection.execute(
            "SELECT lower(column_name), data_type FROM duckdb_columns() WHERE database_name = ?"
            " AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?) ORDER BY column_index",
            [SOURCE, table.schema, table.name],
        ).fetchall()
    )
    if not types:
        problems.append(
            f"{table.model}: the warehouse has no table {table.schema}.{table.name};"
            " build the model, or take config.meta.publish away."
        )
        return MartShape(is_view=False, undeclared=())
    declared = [column.name for column in table.columns]
    problems.extend(
        f"{table.model}.{name}: declared, but not in {table.schema}.{table.name};"
        " build the model again, or remove the column from its YAML."
        for name in declared
        if name.lower() not in types
    )
    problems.extend(
        f"{table.model}.{problem}"
        for problem in unreadable_columns({name: types[name.lower()] for name in declared if name.lower() in types})
    )
    if table.name == _NEVER_EMPTY and not _has_rows(connection, table):
        problems.append(f"{table.model}: has no rows; look at load_audit and the checks of the last run.")
    known = {name.lower() for name in (*declared, *table.withheld)}
    return MartShape(
        is_view=_is_view(connection, table),
        undeclared=tuple(name for name in types if name not in known),
    )


def _has_rows(connection: duckdb.DuckDBPyConnection, table: PublishedTable) -> bool:
    relation = qualified(SOURCE, table.schema, table.name)
    return connection.execute(f"SELECT 1 FROM {relation} LIMIT 1").fetchone() is not None


def _is_view(connection: duckdb.DuckDBPyConnection, table: PublishedTable) -> bool:
    found = connection.execute(
        "SELECT 1 FROM duckdb_views() WHERE database_name = ?"
        " AND lower(schema_name) = lower(?) AND lower(view_name) = lower(?)",
        [SOURCE, table.schema, table.name],
    ).fetchone()
    return found is not None
