"""Where the outcomes of identity runs lie: ``<lake>/identity/runs/<run>``; ``current`` names the one that holds.

The folder (:mod:`transforms.run_folders`) also keeps what the next run needs to give the same people the same ids:

- ``registry`` (identifier_key, customer_id, origin_id): every identifier that ever belonged to a customer, by
  its keyed hash: the customer it belonged to last, and the first it belonged to. Identifiers that have gone from the
  data stay, so that a source that is absent for a day does not cost its customers their ids.
- ``history`` (known_as, customer_id, status, days) and ``quality`` (figures by day): what runs told.
- ``issued`` (customer_id, created_run, generation): every id ever given.
- ``observations`` and ``blocked``: what was looked at, by which the next run sees what is new.
- ``public`` (type, value, beside_value, beside_type): what stands beside public values, which the next run counts on.
- ``state.json``: versions, the day, and a fingerprint of the secret.

Most tables (:data:`PARTED`) lie in two files, so that a run writes what it changed and no more: ``<table>.parquet``, a
base that runs share by hard links, and ``<table>.delta.parquet``. Each of their rows carries the component of the graph
that it tells of (:mod:`transforms.identity.reach`). Rows of the base whose component is in ``superseded.parquet`` count
no more; those that took their place stand in the delta. :meth:`IdentityStore.table` reads both. When the deltas have
grown to a share of the base they are written into a new one.

Memory goes forward only: a run for an earlier day takes its ids from the outcome of the latest one and leaves no trace
in it. ``memory`` names that outcome while the current one is of an earlier day. Customers who were one in May and are
two in June would else change their ids with a look back to May.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from transforms.run_folders import RunFolders, no_rows, write_rows
from transforms.settings import Settings
from transforms.sql import literal

SCHEMAS: dict[str, dict[str, str]] = {
    "assignments": {"identity_key": "VARCHAR", "customer_id": "VARCHAR"},
    "identifiers": {
        "identifier_type": "VARCHAR",
        "identifier_value": "VARCHAR",
        "identifier_key": "VARCHAR",
        "identifier_masked": "VARCHAR",
        "customer_id": "VARCHAR",
        "status": "VARCHAR",
        "reason": "VARCHAR",
        "first_seen_at": "TIMESTAMP",
        "last_seen_at": "TIMESTAMP",
        "sources": "VARCHAR",
        "records": "BIGINT",
    },
    "customers": {
        "customer_id": "VARCHAR",
        "created_run": "VARCHAR",
        "first_seen_at": "TIMESTAMP",
        "last_seen_at": "TIMESTAMP",
        "identifiers": "BIGINT",
    },
    "aliases": {
        "old_customer_id": "VARCHAR",
        "customer_id": "VARCHAR",
        "valid_from": "DATE",
        "run_id": "VARCHAR",
        "reason": "VARCHAR",
    },
    "linked_records": {"record_id": "VARCHAR", "customer_id": "VARCHAR", "identity_key": "VARCHAR"},
    "links": {
        "kind": "VARCHAR",
        "left_side": "VARCHAR",
        "right_side": "VARCHAR",
        "left_customer_id": "VARCHAR",
        "right_customer_id": "VARCHAR",
        "rule": "VARCHAR",
        "probability": "DOUBLE",
        "model": "VARCHAR",
        "author": "VARCHAR",
        "decided_on": "DATE",
        "status": "VARCHAR",
        "reason": "VARCHAR",
    },
    "overrides": {
        "line": "BIGINT",
        "action": "VARCHAR",
        "left_side": "VARCHAR",
        "right_side": "VARCHAR",
        "author": "VARCHAR",
        "reason": "VARCHAR",
        "decided_on": "DATE",
        "expires_on": "DATE",
        "status": "VARCHAR",
        "detail": "VARCHAR",
    },
    "edges": {
        "left_key": "VARCHAR",
        "right_key": "VARCHAR",
        "rule": "VARCHAR",
        "left_type": "VARCHAR",
        "left_masked": "VARCHAR",
        "right_type": "VARCHAR",
        "right_masked": "VARCHAR",
        "customer_id": "VARCHAR",
        "status": "VARCHAR",
        "reason": "VARCHAR",
        "is_bridge": "BOOLEAN",
        "bridge_side": "BIGINT",
        "probability": "DOUBLE",
        "sources": "VARCHAR",
        "records": "BIGINT",
        "first_seen_at": "TIMESTAMP",
        "last_seen_at": "TIMESTAMP",
    },
    "clusters": {
        "customer_id": "VARCHAR",
        "identifiers": "BIGINT",
        "observations": "BIGINT",
        "records": "BIGINT",
        "sources": "BIGINT",
        "edges": "BIGINT",
        "links": "BIGINT",
        "density": "DOUBLE",
        "bridges": "BIGINT",
        "deep_bridges": "BIGINT",
        "most_of_a_type": "BIGINT",
        "first_seen_at": "TIMESTAMP",
        "last_seen_at": "TIMESTAMP",
    },
    "refusals": {
        "identifier_key": "VARCHAR",
        "customer_id": "VARCHAR",
        "other_customer_id": "VARCHAR",
        "identifier_type": "VARCHAR",
        "identifier_masked": "VARCHAR",
        "rule": "VARCHAR",
        "reason": "VARCHAR",
        "probability": "DOUBLE",
        "records": "BIGINT",
        "first_seen_at": "TIMESTAMP",
        "last_seen_at": "TIMESTAMP",
    },
    "quality": {"as_of_date": "DATE", "measure": "VARCHAR", "value": "DOUBLE", "run_id": "VARCHAR"},
    "history": {
        "known_as": "VARCHAR",
        "valid_from_date": "DATE",
        "valid_to_date": "DATE",
        "customer_id": "VARCHAR",
        "status": "VARCHAR",
        "run_id": "VARCHAR",
    },
    "registry": {"identifier_key": "VARCHAR", "customer_id": "VARCHAR", "origin_id": "VARCHAR"},
    "issued": {"customer_id": "VARCHAR", "created_run": "VARCHAR", "generation": "INTEGER"},
    "observations": {
        "identity_key": "VARCHAR",
        "fingerprint": "BIGINT",
        "by_identifiers": "UBIGINT",
        "is_anonymous": "BOOLEAN",
        "refused": "BIGINT",
        "records": "BIGINT",
    },
    "public": {"type": "VARCHAR", "value": "VARCHAR", "beside_value": "VARCHAR", "beside_type": "VARCHAR"},
    "blocked": {
        "identifier_key": "VARCHAR",
        "identifier_type": "VARCHAR",
        "identifier_value": "VARCHAR",
        "status": "VARCHAR",
        "reason": "VARCHAR",
        "first_seen_at": "TIMESTAMP",
        "last_seen_at": "TIMESTAMP",
        "sources": "VARCHAR",
        "records": "BIGINT",
    },
}
"""Columns of the tables of an outcome, with their DuckDB types."""

PARTED = frozenset(
    {
        "assignments",
        "blocked",
        "clusters",
        "customers",
        "edges",
        "identifiers",
        "linked_records",
        "links",
        "observations",
        "public",
        "refusals",
        "registry",
    }
)
"""Tables of which a run writes the components that it has worked out anew."""

SUPERSEDED = "superseded"


class IdentityStore(RunFolders):
    """The folder of identity runs of one lake."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.lake / "identity")
        self.memory = self.folder / "memory"

    @property
    def remembered(self) -> Path:
        """Folder of the outcome that the next run takes ids from: the current one, or that of a later day."""
        return self.memory if _day(self.memory) > _day(self.current) else self.current

    def is_complete(self) -> bool:
        """Whether the current outcome has every table of this version."""
        return self.exists() and all(file.exists() for table in SCHEMAS for file in files(self.current, table))

    def table(self, name: str) -> str:
        """SQL of the rows of a table of :data:`SCHEMAS` in the current outcome, to stand behind FROM."""
        return rows_of(self.current, name)

    def looks_back(self, as_of: date) -> bool:
        """Whether a run for a day is for an earlier one than the last."""
        return as_of.isoformat() < _day(self.remembered)

    def state(self) -> dict[str, Any]:
        """What the run wrote about itself that the next one takes ids from."""
        return self.state_of(self.remembered)

    def _point_at(self, run: Path) -> None:
        if _day(run) < _day(self.remembered):
            self._link(self.memory, self.remembered.resolve())
        super()._point_at(run)

    def clean(self, needed: Collection[Path] = ()) -> None:
        """Remove what crashed runs left, and all but the last runs and the remembered one."""
        if self.remembered == self.current:
            self.memory.unlink(missing_ok=True)
        super().clean([*needed, self.remembered.resolve()])


def _day(run: Path) -> str:
    """Day that an outcome is of, as ISO text; empty where it has none."""
    state = run / "state.json"
    return (json.loads(state.read_text(encoding="utf-8")).get("as_of") or "") if state.exists() else ""


def files(run: Path, table: str) -> tuple[Path, ...]:
    """Files of a table in the folder of a run."""
    base = run / f"{table}.parquet"
    return (base, run / f"{table}.delta.parquet", run / f"{SUPERSEDED}.parquet") if table in PARTED else (base,)


def rows_of(run: Path, table: str, with_component: bool = False) -> str:
    """SQL of the rows of a table in the folder of a run, in parentheses.

    :param with_component: for a table of :data:`PARTED`, its ``component`` as well.
    """
    columns = ", ".join([*SCHEMAS[table], *(["component"] if with_component else [])])
    found = files(run, table)
    base, *parts = (f"read_parquet({literal(file)})" for file in found)
    if not parts or not found[-1].exists():  # outcomes of former versions have no deltas
        return f"(SELECT {columns} FROM {base})"
    delta, superseded = parts
    return (
        f"(SELECT {columns} FROM {base} WHERE component NOT IN (SELECT component FROM {superseded})"
        f" UNION ALL SELECT {columns} FROM {delta})"
    )


def write_table(connection: duckdb.DuckDBPyConnection, query: str, folder: Path, table: str, part: str = "") -> None:
    """Write a query's rows as a table of :data:`SCHEMAS`, with exactly its columns and types, and in a table of
    :data:`PARTED` their ``component``."""
    write_rows(connection, query, _written(table), folder / f"{table}{part}.parquet", level=1 if part else 3)


def _written(table: str) -> dict[str, str]:
    return SCHEMAS[table] | ({"component": "UUID"} if table in PARTED else {})


def write_superseded(connection: duckdb.DuckDBPyConnection, query: str, folder: Path) -> None:
    """Write the components whose rows in the base count no more."""
    connection.execute(
        f"COPY (SELECT DISTINCT CAST(component AS UUID) AS component FROM ({query}) ORDER BY component)"
        f" TO {literal(folder / f'{SUPERSEDED}.parquet')} (FORMAT parquet, COMPRESSION zstd)"
    )


def write_empty_tables(folder: Path) -> None:
    """Write every table without rows."""
    with duckdb.connect(":memory:") as connection:
        for table in SCHEMAS:
            for part in ("", ".delta") if table in PARTED else ("",):
                write_table(connection, no_rows(_written(table)), folder, table, part)
        write_superseded(connection, "SELECT NULL AS component LIMIT 0", folder)
