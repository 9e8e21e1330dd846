"""What an identity run knows of the last one."""

from __future__ import annotations

import duckdb

from transforms.identity.keys import keyed_hash
from transforms.identity.store import SCHEMAS, IdentityStore
from transforms.sql import literal


def secret_fingerprint(secret: bytes) -> str:
    """Tells whether two runs had the same secret, without saying which."""
    return keyed_hash(secret, "fingerprint", 16)


def load_last_state(connection: duckdb.DuckDBPyConnection, store: IdentityStore, secret: bytes) -> None:
    """Make ``last_registry``, ``last_issued`` and so on: the outcome of the latest day, or empty tables.

    With another secret than the last run's, identifiers are found again by their values, as far as the last run's
    table holds them; identifiers that had gone from the data by then are forgotten.
    """
    for table in ("registry", "issued", "aliases", "history", "quality", "assignments"):
        file = store.remembered / f"{table}.parquet"
        if store.exists() and file.exists():  # outcomes of former versions lack some
            rows = f"SELECT * FROM read_parquet({literal(file)})"
        else:
            nothing = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in SCHEMAS[table].items())
            rows = f"SELECT {nothing} LIMIT 0"
        connection.execute(f"CREATE OR REPLACE TEMP TABLE last_{table} AS {rows}")
    present = "false"
    if store.exists():
        file = store.remembered / "identifiers.parquet"
        known = f"SELECT identifier_key FROM read_parquet({literal(file)}) WHERE customer_id IS NOT NULL"
        present = f"identifier_key IN ({known})"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE last_registry AS SELECT *, {present} AS is_present FROM last_registry"
    )
    if store.exists() and store.state()["secret_fingerprint"] != secret_fingerprint(secret):
        connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE last_registry AS
            SELECT keyed_hash(i.identifier_type || ':' || i.identifier_value, 32) AS identifier_key,
                   r.customer_id, r.origin_id, r.is_present
            FROM last_registry r
            JOIN read_parquet({literal(store.remembered / "identifiers.parquet")}) i USING (identifier_key)
        """)
