"""Building the new file: check the marts, copy them, describe them, read everything back."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from transforms.publishing.checked import CheckedBuild, warehouse_state
from transforms.publishing.errors import PublicationError
from transforms.publishing.figures import Figures, read_figures
from transforms.publishing.guard import Confirmation, Finding, HeldBuild, Previous, decide, judge, read_previous
from transforms.publishing.marts import MartShape, inspect_marts
from transforms.publishing.plan import PUBLICATION_TABLE, PublicationPlan
from transforms.publishing.sql import (
    SCHEMA,
    SOURCE,
    TARGET,
    comments,
    copy_table,
    fingerprint_of,
    qualified,
)
from transforms.publishing.verify import read_publication, storage_version
from transforms.settings import Settings
from transforms.sql import identifier, literal, scalars, scratch_connection

# The oldest format without faults: 1.4 to 2.0 clients open it, 2.0's own format shuts out every 1.x
# client, and v1.0 to v1.3 silently replay a stale write-ahead log.
STORAGE_VERSION = "v1.4.0"

_PUBLICATION_COLUMNS = (
    ("run_id", "VARCHAR", "Run that built the tables."),
    ("published_at", "TIMESTAMP", "Moment of publication (UTC)."),
    ("as_of_date", "DATE", "Last day that counts in every table."),
    ("watershed_version", "VARCHAR", "Version of Watershed that computed the tables."),
    ("duckdb_version", "VARCHAR", "Version of DuckDB that wrote this file."),
    ("storage_version", "VARCHAR", "Storage version of this file; clients of this version or later open it."),
    ("tables", "VARCHAR", "JSON object: name of each table and its number of rows."),
    ("fingerprint", "VARCHAR", "Name of the content: files of the same content for the same day have the same."),
    ("figures", "VARCHAR", "JSON object: customers, net revenue by currency, customers by segment and stage."),
    ("previous", "VARCHAR", "JSON object: the same figures of the publication for an earlier day; null for the first."),
    ("held_for", "VARCHAR", "What had jumped, where a person let this publication pass; else null."),
    ("confirmed_by", "VARCHAR", "Who let it pass; null where nothing had jumped."),
    ("confirmation_reason", "VARCHAR", "Why, in the words of that person; null where nothing had jumped."),
)


@dataclass(frozen=True)
class BuiltFile:
    """What a built file says, the columns that nobody declared by table, and the name of its content."""

    figures: Figures
    compared_with: Figures | None
    undeclared: dict[str, tuple[str, ...]]
    fingerprint: str


def build(
    settings: Settings,
    plan: PublicationPlan,
    temporary: Path,
    checked: CheckedBuild,
    watershed_version: str,
    tell: Callable[[str], None],
    confirmed: tuple[Confirmation, HeldBuild] | None = None,
) -> BuiltFile:
    """Write the planned tables to ``temporary`` and compare them, read from disk, with the marts.

    Raises PublicationError when the warehouse is not the checked build, a mart is not as planned, the guard holds the
    build or the file differs from the marts, and duckdb.Error when DuckDB fails, for instance on a full disk.
    """
    with _connect(settings) as connection:
        before = read_previous(connection, settings)
        _attach_warehouse(connection, settings.warehouse)
        # Nobody can write it while it is attached.
        if warehouse_state(settings.warehouse) != checked.warehouse:
            raise PublicationError(f"{settings.warehouse} was changed after its checks: build it with `watershed run`.")
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
        marts = _contents(connection, plan, SOURCE, shapes)
        fingerprint = _named(plan, checked, marts)
        figures = read_figures(connection, TARGET, checked.run_id, checked.as_of_date, rows)
        findings = _judged(settings, plan, before, figures)
        decide(settings, checked, fingerprint, before, findings, confirmed[1] if confirmed else None)
        compared_with = _compared_with(before, figures)
        row = {
            "run_id": checked.run_id,
            "as_of_date": checked.as_of_date,
            "watershed_version": watershed_version,
            "tables": json.dumps(rows, sort_keys=True),
            "fingerprint": fingerprint,
            "figures": figures.to_json(),
            "previous": compared_with.to_json() if compared_with else None,
        }
        if confirmed:
            confirmation, held = confirmed
            row |= {"held_for": "; ".join(held.findings), "confirmed_by": confirmation.confirmed_by}
            row |= {"confirmation_reason": confirmation.reason}
        elif isinstance(before, Previous) and before.fingerprint == fingerprint:
            # The very content that was confirmed, published once more.
            row |= before.confirmed
        _write_publication(connection, row)
        connection.execute(f"CHECKPOINT {TARGET}")
        connection.execute(f"DETACH {TARGET}")
        tell("reading the new file back")
        connection.execute(f"ATTACH {literal(temporary)} AS {TARGET} (TYPE duckdb, READ_ONLY)")
        read_publication(connection, temporary)
        _compare(marts, _contents(connection, plan, TARGET, shapes))
    undeclared = {name: shape.undeclared for name, shape in shapes.items() if shape.undeclared}
    return BuiltFile(figures, compared_with, undeclared, fingerprint)


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


def _judged(
    settings: Settings, plan: PublicationPlan, before: Previous | Finding | None, after: Figures
) -> tuple[Finding, ...]:
    if isinstance(before, Finding):
        return (before,)
    free = {table.name for table in plan.tables if not table.is_guarded}
    return judge(before.figures, after, settings, free) if before else ()


def _compared_with(before: Previous | Finding | None, after: Figures) -> Figures | None:
    """Figures of the last publication for another day; that of the same day says nothing about the change."""
    if not isinstance(before, Previous):
        return None
    return before.compared_with if before.figures.as_of_date == after.as_of_date else before.figures


def _write_publication(connection: duckdb.DuckDBPyConnection, row: Mapping[str, Any]) -> None:
    # In marts, where readers look; one row.
    relation = qualified(TARGET, SCHEMA, PUBLICATION_TABLE)
    columns = ", ".join(f"{name} {kind}" for name, kind, _ in _PUBLICATION_COLUMNS)
    connection.execute(f"CREATE TABLE {relation} ({columns})")
    values = {
        "published_at": dt.datetime.now(dt.UTC).replace(tzinfo=None),
        "duckdb_version": scalars(connection, "SELECT version()")[0],
        "storage_version": storage_version(connection),
        **row,
    }
    connection.execute(
        f"INSERT INTO {relation} VALUES ({', '.join('?' for _ in _PUBLICATION_COLUMNS)})",
        [values.get(name) for name, _, _ in _PUBLICATION_COLUMNS],
    )
    description = "One row: which run built this file, for which day, with which versions, and how many rows."
    described = [(name, text) for name, _, text in _PUBLICATION_COLUMNS]
    for statement in comments(PUBLICATION_TABLE, description, described):
        connection.execute(statement)


# Rows and content sum of each table. The sum of a view is left out: computed a second time, its floating-point sums
# may differ in the last digit.
Contents = dict[str, tuple[int, int | None]]


def _contents(
    connection: duckdb.DuckDBPyConnection, plan: PublicationPlan, catalog: str, shapes: Mapping[str, MartShape]
) -> Contents:
    found: Contents = {}
    for table in plan.tables:
        relation = qualified(catalog, table.schema if catalog == SOURCE else SCHEMA, table.name)
        rows, content = scalars(connection, fingerprint_of(relation, [column.name for column in table.columns]))
        found[table.name] = (rows, None if shapes[table.name].is_view else content)
    return found


def _named(plan: PublicationPlan, checked: CheckedBuild, marts: Contents) -> str:
    """Name of a build's content: day, tables, columns and rows."""
    lines = [
        f"{table.name}({', '.join(column.name for column in table.columns)}) {marts[table.name]}"
        for table in plan.tables
    ]
    return hashlib.sha256("\n".join([checked.as_of_date.isoformat(), *lines]).encode()).hexdigest()


def _compare(marts: Contents, copies: Contents) -> None:
    for table, mart in marts.items():
        if copies[table] != mart:
            raise PublicationError(
                f"{table}: the copy differs from the mart (rows and content sum: {mart} in the mart,"
                f" {copies[table]} in the copy); publish again, and check the disk if it happens twice."
            )
