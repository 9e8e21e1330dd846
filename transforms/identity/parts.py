"""Writing an outcome: what was worked out anew, beside what stays; :mod:`transforms.identity.store` tells the files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import duckdb

from transforms.identity.masking import masked_expression
from transforms.identity.place import NOBODYS
from transforms.identity.public import PUBLIC
from transforms.identity.reach import Reach
from transforms.identity.store import (
    PARTED,
    SCHEMAS,
    IdentityStore,
    files,
    rows_of,
    write_superseded,
    write_table,
)
from transforms.sql import literal

GROWN = 0.5
"""Share of the base's observations beyond which the delta is written into a new base."""

_FRESH = {
    "identifiers": "usable_identifiers",
    "observations": "seen",
    "public": "public_rows",
    "registry": "placed_registry",
}
_UNTOUCHED = "component NOT IN (SELECT component FROM touched)"


def write_parts(connection: duckdb.DuckDBPyConnection, store: IdentityStore, reach: Reach, folder: Path) -> None:
    """Write the parted tables of an outcome, and make the views ``outcome_<table>`` of all their rows.

    Needs the tables that :func:`transforms.identity.settle.settle` and
    :func:`transforms.identity.evidence.make_evidence` leave.
    """
    last = store.remembered.resolve()
    is_base = reach.is_whole or _is_grown(connection, last)
    nothing = "SELECT NULL AS component LIMIT 0"
    former = f"FROM read_parquet({literal(files(last, 'assignments')[-1])}) UNION ALL FROM touched"
    write_superseded(connection, nothing if is_base else former, folder)
    for table in sorted(PARTED):  # "blocked" comes before "identifiers", which shows its sums
        columns = ", ".join([*SCHEMAS[table], "component"])
        fresh = _FRESH.get(table, table)
        rows = f"SELECT {columns} FROM {fresh}"
        if table == "identifiers":
            rows += f" UNION ALL {_blocked(folder)}"
        base, delta, _ = files(last, table)
        if not reach.is_whole:
            kept = rows_of(last, table, with_component=True) if is_base else f"read_parquet({literal(delta)})"
            rows += f" UNION ALL SELECT {columns} FROM {kept} WHERE {_UNTOUCHED}"
        if is_base:
            # The first columns are the key of each table: equal outcomes give equal bases.
            rows = f"FROM ({rows}) ORDER BY {', '.join(list(SCHEMAS[table])[:3])}"
        write_table(connection, rows, folder, table, "" if is_base else ".delta")
        if is_base:
            write_table(connection, f"SELECT {columns} FROM {fresh} LIMIT 0", folder, table, ".delta")
        else:
            _share(base, folder / base.name)
        connection.execute(f"CREATE OR REPLACE TEMP VIEW outcome_{table} AS FROM {rows_of(folder, table)}")


def _is_grown(connection: duckdb.DuckDBPyConnection, last: Path) -> bool:
    base, delta, _ = (literal(file) for file in files(last, "observations"))
    [(settled, grown)] = connection.execute(f"""
        SELECT (SELECT count(*) FROM read_parquet({base})),
               (SELECT count(*) FROM read_parquet({delta}) WHERE {_UNTOUCHED}) + (SELECT count(*) FROM seen)
    """).fetchall()
    return grown > GROWN * settled


def _blocked(folder: Path) -> str:
    """Query of blocked and public identifiers: of no component, so all are summed up in each run."""
    return f"""
        SELECT identifier_type, identifier_value, identifier_key,
               {masked_expression("identifier_type", "identifier_value")}, NULL,
               CASE status WHEN '{PUBLIC}' THEN 'contested' ELSE status END, reason,
               min(first_seen_at), max(last_seen_at),
               array_to_string(list_sort(list_distinct(flatten(list(string_split(sources, ','))))), ','),
               CAST(sum(records) AS BIGINT), CAST('{NOBODYS}' AS UUID)
        FROM {rows_of(folder, "blocked")} GROUP BY ALL
    """


def _share(file: Path, name: Path) -> None:
    """Give a file that never changes another name; a file system without hard links gets a copy."""
    try:
        os.link(file, name)
    except OSError:
        shutil.copy2(file, name)
