"""Read-only questions to the warehouse file, and where it goes when it is damaged; only dbt writes it."""

from __future__ import annotations

from pathlib import Path

import duckdb

from transforms.settings import Settings
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


def is_damaged(reason: str) -> bool:
    """Whether an error's text, DuckDB's own or dbt's about it, says that the file is not as it was written."""
    return "valid DuckDB database file" in reason or "Corrupt database file" in reason


def set_aside(settings: Settings) -> Path | None:
    """Move the warehouse out of the way, so that the next run builds it anew; an earlier one that lay there is gone.

    Call it under the run lock. Returns where it lies now, None where there was none.
    """
    aside = settings.warehouse.with_name(settings.warehouse.name + ".aside")
    log = settings.warehouse.with_name(settings.warehouse.name + ".wal")
    # The log of one database must never be found beside another.
    log.unlink(missing_ok=True)
    if not settings.warehouse.exists():
        return None
    settings.warehouse.replace(aside)
    return aside
