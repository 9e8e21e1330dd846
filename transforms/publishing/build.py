"""Building the new file: check the marts, copy them, describe them, read everything back."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from transforms.publishing.errors import PublicationError
from transforms.publishing.marts import MartShape, inspect_marts
from transforms.publishing.plan import PUBLICATION_TABLE, PublicationPlan
from transforms.publishing.sql import (
    SCHEMA,
    SOURCE,
    TARGET,
    comments,
    copy_table,
    fingerprint,
    qualified,
)
from transforms.publishing.verify import read_publication, storage_version
from transforms.settings import Settings
from transforms.sql import identifier, literal, scratch_connection

# The oldest format without faults: 1.4 to 2.0 clients open it, 2.0's own format shuts out every 1.x
# client, and v1.0 to v1.3 silently replay a stale write-ahead log.
STORAGE_VERSION = "v1.4.0"

_PUBLICATION_COLUMNS = (
    ("run_id", "VARCHAR", "Run that published this file."),
    ("published_at", "TIMESTAMP", "Moment of publication (UTC)."),
    ("as_of_date", "DATE", "Last day that counts in every table."),
    ("watershed_version", "VARCHAR", "Version of Watershed that computed the tables."),
    ("duckdb_version", "VARCHAR", "Version of DuckDB that wrote this file."),
    ("storage_version", "VARCHAR", "Storage version of this file; clients of this version or later open it."),
    ("tables", "VARCHAR", "JSON object: name of each table and its number of rows."),
)


@dataclass(frozen=True)
class BuiltFile:
    """What a built file holds: rows by table, and the columns that nobody declared, by table."""

    rows: dict[str, int]
    undeclared: dict[str, tuple[str, ...]]


def build(
    settings: Settings,
    plan: PublicationPlan,
    temporary: Path,
    run_id: str,
    as_of: dt.date,
    watershed_version: str,
    tell: Callable[[str], None],
) -> BuiltFile:
    """Write the planned tables to ``temporary`` and compare them, read from disk, with the marts.

    Raises PublicationError when a mart is not as planned or the file differs from the marts, and
    duckdb.Error when DuckDB fails, for instance on a full disk.
    """
    with _connect(settings) as connection:
        _attach_warehouse(connection, settings.warehouse)
        shapes = inspect_marts(connection, plan)
        connection.execute(
            f"ATTACH {literal(temporary)} AS {TARGET} (TYPE duckdb, STORAGE_VERSION {literal(STORAGE_VERSION)})"
        )
        connection.execute(f"CREATE SCHEMA {TARGET}.{identifier(SCHEMA)}")
        rows: dict[str, int] = {}
        for table in plan.tables:
            copied = connection.execute(copy_table(table)).fetchone()
            rows[table.name] = copied[0] if copied else 0
            described = [(column.name, column.description) for column in table.columns]
            for statement in comments(table.name, table.description, described):
                connection.execute(statement)
            tell(f"{table.name}: {rows[table.name]:,} rows")
        _write_publication(connection, run_id, as_of, watershed_version, rows)
        connection.execute(f"CHECKPOINT {TARGET}")
        connection.execute(f"DETACH {TARGET}")
        tell("reading the new file back")
        connection.execute(f"ATTACH {literal(temporary)} AS {TARGET} (TYPE duckdb, READ_ONLY)")
        read_publication(connection, temporary)
        _compare(connection, plan, shapes)
    return BuiltFile(rows, {name: shape.undeclared for name, shape in shapes.items() if shape.undeclared})


@contextlib.contextmanager
def _connect(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory connection that spills to a folder of its own."""
    # One folder for all publications, emptied first: a killed run leaves its spill files behind.
    spill = settings.scratch / "publishing"
    shutil.rmtree(spill, ignore_errors=True)
    spill.mkdir(parents=True)
    try:
        with scratch_connection(settings) as connection:
            connection.execute(f"SET temp_directory = {literal(spill)}")
            # Rows without a declared order need none kept, which saves memory; ORDER BY holds all the same.
            connection.execute("SET preserve_insertion_order = false")
            yield connection
    finally:
        shutil.rmtree(spill, ignore_errors=True)


def _attach_warehouse(connection: duckdb.DuckDBPyConnection, warehouse: Path) -> None:
    if not warehouse.is_file():
        raise PublicationError(f"There is no warehouse at {warehouse}: run the daily job first.")
    try:
        connection.execute(f"ATTACH {literal(warehouse)} AS {SOURCE} (TYPE duckdb, READ_ONLY)")
    except duckdb.Error as error:
        raise PublicationError(
            f"{warehouse} can't be read; if someone writes it, publish when that has ended. {error}"
        ) from error


def _write_publication(
    connection: duckdb.DuckDBPyConnection,
    run_id: str,
    as_of: dt.date,
    watershed_version: str,
    rows: dict[str, int],
) -> None:
    # In marts, where readers look; one row.
    relation = qualified(TARGET, SCHEMA, PUBLICATION_TABLE)
    columns = ", ".join(f"{name} {kind}" for name, kind, _ in _PUBLICATION_COLUMNS)
    published_at = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    connection.execute(f"CREATE TABLE {relation} ({columns})")
    connection.execute(
        f"INSERT INTO {relation} VALUES (?, ?, ?, ?, version(), ?, ?)",
        [
            run_id,
            published_at,
            as_of,
            watershed_version,
            storage_version(connection),
            json.dumps(rows, sort_keys=True),
        ],
    )
    description = "One row: which run wrote this file, for which day, with which versions, and how many rows."
    described = [(name, text) for name, _, text in _PUBLICATION_COLUMNS]
    for statement in comments(PUBLICATION_TABLE, description, described):
        connection.execute(statement)


def _compare(connection: duckdb.DuckDBPyConnection, plan: PublicationPlan, shapes: dict[str, MartShape]) -> None:
    """Compare rows and contents of every copy with its mart.

    A view is compared with its rows alone: computed a second time, its floating-point sums may
    differ in the last digit.
    """
    for table in plan.tables:
        names = [column.name for column in table.columns]
        mart, copy = (
            connection.execute(fingerprint(qualified(catalog, schema, table.name), names)).fetchone()
            for catalog, schema in ((SOURCE, table.schema), (TARGET, SCHEMA))
        )
        exact = not shapes[table.name].is_view
        if mart is None or copy is None or mart[0] != copy[0] or (exact and mart[1] != copy[1]):
            raise PublicationError(
                f"{table.name}: the copy differs from the mart (rows and content sum: {mart} in the mart,"
                f" {copy} in the copy); publish again, and check the disk if it happens twice."
            )
