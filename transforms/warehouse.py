"""Read-only questions to the warehouse file; only dbt writes it."""

from __future__ import annotations

from pathlib import Path

import duckdb

from transforms.sql import identifier


def row_counts(warehouse: Path) -> dict[tuple[str, str], int]:
    """Rows of each table by (schema, table); views are left out, counting them would run them."""
    if not warehouse.exists():
        return {}
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
        counts = {}
        for schema, table in tables:
            row = connection.execute(f"SELECT count(*) FROM {identifier(schema)}.{identifier(table)}").fetchone()
            counts[schema, table] = row[0] if row else 0
        return counts


def is_locked(error: BaseException) -> bool:
    """Whether an error, DuckDB's own or dbt's about it, says that another process has the warehouse file open."""
    return "Could not set lock on file" in str(error)
