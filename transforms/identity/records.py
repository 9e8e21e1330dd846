"""Source records that decisions and links name, found in the staging models."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow as pa

from transforms.sql import identifier, literal

STAGING = "staging"


def find_records(connection: duckdb.DuckDBPyConnection, warehouse: Path, record_ids: Iterable[str]) -> None:
    """Make ``named_records`` (record_id, identity_key, source, first_seen_at, last_seen_at): one row per record found.

    ``identity_key`` is null for a record without identifiers. Only the sources that the ids begin with are read, and a
    record that was looked for before on this connection is not looked for again.

    :param record_ids: ``source:key``, as staging models write it.
    """
    connection.execute("""
        CREATE TEMP TABLE IF NOT EXISTS known_records (
            record_id VARCHAR, is_found BOOLEAN, identity_key VARCHAR, source VARCHAR, first_seen_at TIMESTAMP,
            last_seen_at TIMESTAMP
        )
    """)
    connection.register("wanted", pa.table({"record_id": pa.array(sorted(set(record_ids)), pa.string())}))
    connection.execute("CREATE OR REPLACE TEMP TABLE unknown AS FROM wanted ANTI JOIN known_records USING (record_id)")
    sources = connection.execute("SELECT DISTINCT split_part(record_id, ':', 1) FROM unknown ORDER BY ALL").fetchall()
    if sources:
        _look_up(connection, warehouse, [source for (source,) in sources])
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE named_records AS
        SELECT * EXCLUDE (is_found) FROM known_records SEMI JOIN wanted USING (record_id) WHERE is_found
    """)
    connection.unregister("wanted")


def _look_up(connection: duckdb.DuckDBPyConnection, warehouse: Path, sources: Iterable[str]) -> None:
    """Add the records of ``unknown`` to ``known_records``, also those that are nowhere."""
    named = ", ".join(map(literal, sources))
    connection.execute(f"ATTACH {literal(warehouse)} AS warehouse (READ_ONLY)")
    try:
        nothing = "SELECT '' AS record_id, '' AS identity_key, '' AS source, CAST(NULL AS TIMESTAMP) AS occurred_at"
        selects = " UNION ALL ".join(
            [f"({nothing} LIMIT 0)"]
            + [
                f"SELECT record_id, identity_key, source, occurred_at FROM warehouse.{STAGING}.{identifier(view)}"
                f" WHERE source IN ({named}) AND record_id IN (SELECT record_id FROM unknown)"
                for view in _views(connection)
            ]
        )
        # A record that is one of several lines, or of several versions, counts with its latest.
        connection.execute(f"""
            INSERT INTO known_records BY NAME
            SELECT record_id, f.source IS NOT NULL AS is_found, f.* EXCLUDE (record_id)
            FROM unknown LEFT JOIN (
                SELECT record_id, arg_max(identity_key, row(occurred_at, identity_key)) AS identity_key,
                       any_value(source) AS source, min(occurred_at) AS first_seen_at, max(occurred_at) AS last_seen_at
                FROM ({selects}) GROUP BY record_id
            ) f USING (record_id)
        """)
    finally:
        connection.execute("DETACH warehouse")


def _views(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Staging models whose records carry identifiers."""
    rows = connection.execute(
        "SELECT table_name FROM duckdb_columns() WHERE database_name = 'warehouse' AND schema_name = $schema"
        " AND column_name IN ('record_id', 'identity_key', 'source', 'occurred_at')"
        " GROUP BY table_name HAVING count(*) = 4 ORDER BY table_name",
        {"schema": STAGING},
    ).fetchall()
    return [name for (name,) in rows]


def observe_records(connection: duckdb.DuckDBPyConnection) -> None:
    """Add an observation to ``held`` for each named record that has none, and make ``record_rows`` (record_id,
    observation).

    Such a record holds no identifier that counts; only a link can make it somebody's.
    """
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE record_rows AS
        SELECT record_id, observation, false AS is_alone FROM named_records JOIN held USING (identity_key)
    """)
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE alone AS
        SELECT record_id, source, first_seen_at, last_seen_at
        FROM named_records WHERE record_id NOT IN (SELECT record_id FROM record_rows)
    """)
    # The key of such an observation is the record's own; no key of identifiers looks like it.
    connection.execute("""
        INSERT INTO held BY NAME
        SELECT CAST((SELECT count(*) FROM held) + row_number() OVER (ORDER BY record_id) - 1 AS INTEGER) AS observation,
               record_id AS identity_key, source, first_seen_at, last_seen_at, 1 AS records
        FROM alone WHERE record_id NOT IN (SELECT identity_key FROM held)
    """)
    connection.execute("""
        INSERT INTO record_rows
        SELECT a.record_id, h.observation, true FROM alone a JOIN held h ON h.identity_key = a.record_id
    """)
