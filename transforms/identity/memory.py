"""What an identity run knows of the last one."""

from __future__ import annotations

import duckdb

from transforms.identity.keys import secret_fingerprint
from transforms.identity.reach import Reach
from transforms.identity.store import PARTED, SCHEMAS, IdentityStore, rows_of
from transforms.run_folders import no_rows


def load_last_state(connection: duckdb.DuckDBPyConnection, store: IdentityStore, secret: bytes, reach: Reach) -> None:
    """Make ``last_registry``, ``last_issued`` and so on: the outcome of the latest day, or empty tables.

    Of ``last_registry`` and ``last_assignments`` only what the run works out anew. With another secret than the last
    run's, identifiers are found again by their values, as far as the last run's table holds them; identifiers that had
    gone from the data by then are forgotten.
    """
    present = "false"
    if store.exists():
        known = f"SELECT identifier_key FROM {reach.last(store, 'identifiers')} WHERE customer_id IS NOT NULL"
        present = f"identifier_key IN ({known})"
    for table in ("registry", "assignments", "issued", "aliases", "history", "quality"):
        rows = reach.last(store, table) if table in PARTED else rows_of(store.remembered, table)
        if not store.exists() or not (store.remembered / f"{table}.parquet").exists():  # former versions lack some
            rows = f"({no_rows(SCHEMAS[table])})"
        columns = f"*, {present} AS is_present" if table == "registry" else "*"
        connection.execute(f"CREATE OR REPLACE TEMP TABLE last_{table} AS SELECT {columns} FROM {rows}")
    if store.exists() and store.state()["secret_fingerprint"] != secret_fingerprint(secret):
        connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE last_registry AS
            SELECT keyed_hash(i.identifier_type || ':' || i.identifier_value, 32) AS identifier_key,
                   r.customer_id, r.origin_id, r.is_present
            FROM last_registry r JOIN {rows_of(store.remembered, "identifiers")} i USING (identifier_key)
        """)
