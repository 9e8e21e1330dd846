"""Reading a published file back."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path

import duckdb

from transforms.publishing.errors import PublicationError
from transforms.publishing.figures import count_rows
from transforms.publishing.plan import PUBLICATION_TABLE
from transforms.publishing.sql import SCHEMA, TARGET, qualified
from transforms.sql import literal


@dataclass(frozen=True)
class PublicationInfo:
    """A published file: its row of ``marts.publication``, and its tables with their row counts."""

    path: Path
    run_id: str
    published_at: dt.datetime
    as_of_date: dt.date
    watershed_version: str
    duckdb_version: str
    storage_version: str
    tables: dict[str, int]
    size_bytes: int


def verify_published(path: Path) -> PublicationInfo:
    """Open a published file read-only and count its rows.

    Raises PublicationError when the file is missing, can't be read, names no publication, or holds
    other tables, rows or a newer storage version than its publication says.
    """
    if not path.is_file():
        raise PublicationError(f"Nothing is published at {path} yet: run the daily job, or publish.")
    # In memory plus ATTACH: duckdb.connect(path) would hand out the old file for as long as any
    # connection of this process still has it open.
    with duckdb.connect(":memory:") as connection:
        try:
            connection.execute(f"ATTACH {literal(path)} AS {TARGET} (TYPE duckdb, READ_ONLY)")
            return read_publication(connection, path)
        except duckdb.Error as error:
            raise PublicationError(f"{path} can't be read as a published file: {error}") from error


def read_publication(connection: duckdb.DuckDBPyConnection, path: Path) -> PublicationInfo:
    """Return what the file ``path``, attached as the target, says of itself, checked against its tables."""
    row = connection.execute(
        "SELECT run_id, published_at, as_of_date, watershed_version, duckdb_version, storage_version, tables"
        f" FROM {qualified(TARGET, SCHEMA, PUBLICATION_TABLE)}"
    ).fetchone()
    if row is None:
        raise PublicationError(f"{path} has an empty publication table: publish again.")
    *fields, stated = row
    info = PublicationInfo(path, *fields, tables=count_rows(connection, TARGET), size_bytes=path.stat().st_size)
    if info.tables != json.loads(stated):
        raise PublicationError(
            f"{path} doesn't hold what its publication says: publish again.",
            [f"said: {stated}", f"counted: {json.dumps(info.tables)}"],
        )
    if info.storage_version != storage_version(connection):
        raise PublicationError(
            f"{path} has storage version {storage_version(connection)}, its publication says"
            f" {info.storage_version}: publish again."
        )
    return info


def storage_version(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the storage version of the attached target; DuckDB shows "v1.4.0+", for 1.4.0 and all after."""
    row = connection.execute(
        "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = ?", [TARGET]
    ).fetchone()
    return str(row[0] if row else "unknown").removesuffix("+")
