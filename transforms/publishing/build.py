"""Building the new file: check the marts, copy them, describe them, read everything back."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from transforms.publishing.checked import CheckedBuild, warehouse_state
from transforms.publishing.errors import PublicationError
from transforms.publishing.figures import Figures, read_figures
from transforms.publishing.guard import Finding, judge
from transforms.publishing.holding import Confirmation, HeldBuild, decide
from transforms.publishing.marts import MartShape, inspect_marts
from transforms.publishing.plan import PublicationPlan
from transforms.publishing.previous import Previous, read_previous
from transforms.publishing.publication_table import compared_before, confirmation_of, write_publication
from transforms.publishing.sql import (
    SCHEMA,
    SOURCE,
    TARGET,
    comments,
    copy_table,
    fingerprint_of,
    qualified,
)
from transforms.publishing.verify import read_publication
from transforms.settings import Settings
from transforms.sql import identifier, literal, scalars, scratch_connection

# The oldest format without faults: 1.4 to 2.0 clients open it, 2.0's own format shuts out every 1.x
# client, and v1.0 to v1.3 silently replay a stale write-ahead log.
STORAGE_VERSION = "v1.4.0"


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
        _attach_warehouse(connection, settings.warehouse, checked)
        shapes = inspect_marts(connection, plan)
        rows = _copy(connection, plan, temporary, tell)
        marts = _contents(connection, plan, SOURCE, shapes)
        name = _named(plan, checked, marts)
        figures = read_figures(connection, TARGET, checked.run_id, checked.as_of_date, rows)
        findings = _judged(settings, plan, before, figures)
        decide(settings, checked, name, before, findings, confirmed[1] if confirmed else None)
        compared_with = compared_before(before, figures)
        words = confirmation_of(before, name, confirmed)
        write_publication(connection, checked, watershed_version, name, figures, compared_with, words)
        connection.execute(f"CHECKPOINT {TARGET}")
        connection.execute(f"DETACH {TARGET}")
        tell("reading the new file back")
        connection.execute(f"ATTACH {literal(temporary)} AS {TARGET} (TYPE duckdb, READ_ONLY)")
        read_publication(connection, temporary)
        _compare(marts, _contents(connection, plan, TARGET, shapes))
    undeclared = {table: shape.undeclared for table, shape in shapes.items() if shape.undeclared}
    return BuiltFile(figures, compared_with, undeclared, name)


def _copy(
    connection: duckdb.DuckDBPyConnection, plan: PublicationPlan, temporary: Path, tell: Callable[[str], None]
) -> dict[str, int]:
    """Create the new file with every planned table and its comments; returns the rows of each."""
    connection.execute(
        f"ATTACH {literal(temporary)} AS {TARGET} (TYPE duckdb, STORAGE_VERSION {literal(STORAGE_VERSION)})"
    )
    connection.execute(f"CREATE SCHEMA {TARGET}.{identifier(SCHEMA)}")
    rows: dict[str, int] = {}
    for table in plan.tables:
        rows[table.name] = scalars(connection, copy_table(table))[0]
        described = [(column.name, column.description) for column in table.columns]
        for statement in comments(table.name, table.description, described):
            connection.execute(statement)
        tell(f"{table.name}: {rows[table.name]:,} rows")
    return rows


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


def _attach_warehouse(connection: duckdb.DuckDBPyConnection, warehouse: Path, checked: CheckedBuild) -> None:
    if not warehouse.is_file():
        raise PublicationError(f"There is no warehouse at {warehouse}: run the daily job first.")
    try:
        connection.execute(f"ATTACH {literal(warehouse)} AS {SOURCE} (TYPE duckdb, READ_ONLY)")
    except duckdb.Error as error:
        raise PublicationError(
            f"{warehouse} can't be read; if someone writes it, publish when that has ended. {error}"
        ) from error
    # Nobody can write it while it is attached.
    if warehouse_state(warehouse) != checked.warehouse:
        raise PublicationError(f"{warehouse} was changed after its checks: build it with `watershed run`.")


def _judged(
    settings: Settings, plan: PublicationPlan, before: Previous | Finding | None, after: Figures
) -> tuple[Finding, ...]:
    if isinstance(before, Finding):
        return (before,)
    free = {table.name for table in plan.tables if not table.is_guarded}
    return judge(before.figures, after, settings, free) if before else ()


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
