"""What a word that somebody asks for stands for: a customer, an identifier as any source writes it, or a record."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from transforms.identity.explanation import ExplainError
from transforms.identity.normalise import normalise_values
from transforms.identity.outcome import RECORD
from transforms.identity.policy import Policy
from transforms.settings import Settings
from transforms.sql import identifier, literal

_STAGING = "staging"


@dataclass(frozen=True)
class Target:
    """What a word stands for: a customer, the identifiers to start from, and the observation of a record."""

    asked: str
    customer_id: str | None
    starts: frozenset[tuple[str, str]]
    observation: str | None = None
    why_nobody: str | None = None


def find_target(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    phone_regions: Mapping[str, str],
    word: str,
    policy: Policy,
) -> Target:
    """What a word stands for: a customer first, then an identifier, then a record.

    :raises ExplainError: if it stands for nothing that is known, or for several things.
    """
    customer = connection.execute(
        "SELECT customer_id FROM stored_customers WHERE customer_id = $word"
        " UNION ALL SELECT customer_id FROM stored_aliases WHERE old_customer_id = $word",
        {"word": word},
    ).fetchone()
    if customer:
        # The identifiers that had this very id first: of a former id, those of the customer that was merged.
        rows = connection.execute(
            "SELECT i.identifier_type, i.identifier_value FROM stored_identifiers i"
            " JOIN stored_registry r USING (identifier_key)"
            " WHERE i.customer_id = $customer AND r.origin_id = $word",
            {"customer": customer[0], "word": word},
        ).fetchall()
        return Target(word, customer[0], frozenset(rows))
    found = identifiers_like(connection, phone_regions, word, policy)
    if found:
        kinds = sorted({kind for kind, *_ in found})
        if len(kinds) > 1:
            choices = ", ".join(f"{kind}:…" for kind in kinds)
            raise ExplainError(f"several types of identifiers have this value; write one of {choices}")
        kind, value, customer_id, status, reason = found[0]
        why = None if customer_id else f"{status}: {reason or 'no record holds it with a usable identifier'}"
        return Target(word, customer_id, frozenset({(kind, value)}), why_nobody=why)
    return _record(connection, settings, word)


def identifiers_like(
    connection: duckdb.DuckDBPyConnection, phone_regions: Mapping[str, str], word: str, policy: Policy
) -> list[tuple[Any, ...]]:
    """Identifiers that a word is a spelling of, in any type, by the rules of the run itself; or by their key."""
    kind, _, value = word.partition(":")
    typed = kind in policy.types and value
    kinds, raw = ([kind], value) if typed else (list(policy.types), word)
    spellings = [(kind, None, raw) for kind in kinds]
    if "phone" in kinds:
        spellings += [("phone", region, raw) for region in sorted(set(phone_regions.values()))]
    connection.execute("CREATE OR REPLACE TEMP TABLE raw_values (type VARCHAR, region VARCHAR, raw VARCHAR)")
    connection.executemany("INSERT INTO raw_values VALUES (?, ?, ?)", spellings)
    normalise_values(connection, policy)
    return connection.execute(
        "SELECT DISTINCT i.identifier_type, i.identifier_value, i.customer_id, i.status, i.reason"
        " FROM stored_identifiers i WHERE i.identifier_key = $word"
        " OR (i.identifier_type, i.identifier_value) IN (SELECT (type, value) FROM normalised) ORDER BY ALL",
        {"word": word},
    ).fetchall()


def _record(connection: duckdb.DuckDBPyConnection, settings: Settings, word: str) -> Target:
    with attached_warehouse(connection, settings):
        views = connection.execute(
            "SELECT DISTINCT table_name FROM duckdb_columns() WHERE database_name = 'warehouse'"
            " AND schema_name = $schema AND column_name = 'identity_key' ORDER BY ALL",
            {"schema": _STAGING},
        ).fetchall()
        keys: set[str | None] = set()
        for (view,) in views if ":" in word else ():
            rows = connection.execute(
                f"SELECT DISTINCT identity_key FROM warehouse.{_STAGING}.{identifier(view)} WHERE record_id = $word",
                {"word": word},
            ).fetchall()
            keys.update(key for (key,) in rows)
    if not keys:
        raise ExplainError(
            f"'{word}' is no customer id, identifier or record (source:key) that is known; identifiers are compared"
            " as a whole, and a former value that no record holds any more is forgotten"
        )
    key = next((key for key in keys if key), None)
    if key is None:
        linked = connection.execute(
            "SELECT customer_id FROM stored_linked_records WHERE record_id = $word", {"word": word}
        ).fetchone()
        if linked:
            return Target(word, linked[0], frozenset({(RECORD, word)}))
        return Target(word, None, frozenset(), why_nobody="the record holds no identifier")
    customer = connection.execute(
        "SELECT customer_id FROM stored_assignments WHERE identity_key = $key", {"key": key}
    ).fetchone()
    why = None if customer else "no identifier of the record joins a customer: each is blocked, contested or weak"
    return Target(word, customer[0] if customer else None, frozenset(), key, why)


@contextmanager
def attached_warehouse(connection: duckdb.DuckDBPyConnection, settings: Settings) -> Any:
    try:
        connection.execute(f"ATTACH {literal(settings.warehouse)} AS warehouse (READ_ONLY)")
    except duckdb.IOException as error:
        raise ExplainError(f"a run is writing {settings.warehouse}; ask again when it has ended") from error
    try:
        yield
    finally:
        connection.execute("DETACH warehouse")
