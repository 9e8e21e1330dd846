"""The publication table: one row that says which build a file holds, and who let it pass."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping

import duckdb

from transforms.publishing.checked import CheckedBuild
from transforms.publishing.figures import Figures
from transforms.publishing.guard import Finding
from transforms.publishing.holding import Confirmation, HeldBuild
from transforms.publishing.plan import PUBLICATION_TABLE
from transforms.publishing.previous import Previous
from transforms.publishing.sql import SCHEMA, TARGET, comments, qualified
from transforms.publishing.verify import storage_version
from transforms.sql import scalars

_COLUMNS = (
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


def compared_before(before: Previous | Finding | None, after: Figures) -> Figures | None:
    """Figures of the last publication for another day; that of the same day says nothing about the change."""
    if not isinstance(before, Previous):
        return None
    return before.compared_with if before.figures.as_of_date == after.as_of_date else before.figures


def confirmation_of(
    before: Previous | Finding | None, fingerprint: str, confirmed: tuple[Confirmation, HeldBuild] | None
) -> Mapping[str, str | None]:
    """What had jumped, who let it pass and why; empty where nothing had."""
    if confirmed:
        confirmation, held = confirmed
        return {
            "held_for": "; ".join(held.findings),
            "confirmed_by": confirmation.confirmed_by,
            "confirmation_reason": confirmation.reason,
        }
    # The very content that was confirmed may be published once more.
    return before.confirmed if isinstance(before, Previous) and before.fingerprint == fingerprint else {}


def write_publication(
    connection: duckdb.DuckDBPyConnection,
    checked: CheckedBuild,
    watershed_version: str,
    fingerprint: str,
    figures: Figures,
    compared_with: Figures | None,
    confirmation: Mapping[str, str | None],
) -> None:
    """Create the table with its row and its comments in the attached target."""
    # In marts, where readers look.
    relation = qualified(TARGET, SCHEMA, PUBLICATION_TABLE)
    columns = ", ".join(f"{name} {kind}" for name, kind, _ in _COLUMNS)
    connection.execute(f"CREATE TABLE {relation} ({columns})")
    values = {
        "run_id": checked.run_id,
        "published_at": dt.datetime.now(dt.UTC).replace(tzinfo=None),
        "as_of_date": checked.as_of_date,
        "watershed_version": watershed_version,
        "duckdb_version": scalars(connection, "SELECT version()")[0],
        "storage_version": storage_version(connection),
        "tables": json.dumps(figures.rows, sort_keys=True),
        "fingerprint": fingerprint,
        "figures": figures.to_json(),
        "previous": compared_with.to_json() if compared_with else None,
        **confirmation,
    }
    connection.execute(
        f"INSERT INTO {relation} VALUES ({', '.join('?' for _ in _COLUMNS)})",
        [values.get(name) for name, _, _ in _COLUMNS],
    )
    description = "One row: which run built this file, for which day, with which versions, and how many rows."
    described = [(name, text) for name, _, text in _COLUMNS]
    for statement in comments(PUBLICATION_TABLE, description, described):
        connection.execute(statement)
