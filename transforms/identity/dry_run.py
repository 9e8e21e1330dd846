"""What another policy or other overrides would change: who is merged, who is split, and the revenue that moves.

Works as a run does, with the ids of the last outcome, and leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import duckdb

from transforms.identity.decisions import Linker
from transforms.identity.explanation import ExplainError
from transforms.identity.keys import identifier_secret
from transforms.identity.plan import Clock, Plan, Progress
from transforms.identity.policy import Policy
from transforms.identity.settle import settle
from transforms.identity.store import IdentityStore
from transforms.settings import Settings
from transforms.sql import literal, scratch_connection

Money = dict[str, Decimal]
"""Net revenue by currency; an order without one counts under an empty name."""


@dataclass(frozen=True)
class Move:
    """A customer who would be several others, or several who would be one: ``customers`` are the others."""

    customer_id: str
    customers: tuple[str, ...]
    records: int
    net_revenue: Money


@dataclass(frozen=True)
class DryRun:
    """The difference between the customers of the last outcome and those that the plan gives."""

    as_of: date
    customers_before: int
    customers_after: int
    merged: tuple[Move, ...]
    """Customers that others would be merged into, with those others, most records first."""
    split: tuple[Move, ...]
    """Customers of today that would fall into several, with those."""
    records_moved: int
    """Records that would have another customer, or none, or one for the first time."""
    net_revenue_moved: Money
    """Their net revenue."""
    remarks: tuple[str, ...]


def dry_run(
    settings: Settings,
    phone_regions: Mapping[str, str],
    policy: Policy | None = None,
    linker: Linker | None = None,
    progress: Progress | None = None,
) -> DryRun:
    """Compare the last outcome with that of a policy, over the same observations; write nothing.

    :param policy: default that of the settings, which shows what changed overrides or new observations do.
    :raises PolicyError: if the policy of the settings has a fault.
    :raises OverrideError: if the file of overrides has one.
    :raises ExplainError: if no run has resolved identities yet.
    """
    store = IdentityStore(settings)
    if not store.exists() or not settings.warehouse.exists():
        raise ExplainError("no run has resolved identities yet; run: watershed run")
    as_of = date.fromisoformat(store.state()["as_of"])
    plan = Plan.of(settings, phone_regions, as_of, "dry-run", policy, linker)
    with scratch_connection(settings) as connection:
        found = settle(connection, plan, store, identifier_secret(settings), Clock(progress=progress), is_whole=True)
        _compare(connection, settings, store)
        before, after = connection.execute("""
            SELECT count(DISTINCT customer_before), count(DISTINCT customer_after) FROM moves
        """).fetchall()[0]
        moved = "WHERE customer_before IS DISTINCT FROM customer_after"
        [(records,)] = connection.execute(f"SELECT coalesce(sum(records), 0) FROM moves {moved}").fetchall()
        return DryRun(
            as_of=as_of,
            customers_before=before,
            customers_after=after,
            merged=_moves(connection, "customer_after", "customer_before"),
            split=_moves(connection, "customer_before", "customer_after"),
            records_moved=int(records),
            net_revenue_moved=_money(connection, f"SELECT identity_key FROM moves {moved}"),
            remarks=tuple(
                f"line {verdict.override.line}: {verdict.status}: {verdict.detail}"
                for verdict in found.verdicts
                if verdict.status != "applied"
            ),
        )


def _compare(connection: duckdb.DuckDBPyConnection, settings: Settings, store: IdentityStore) -> None:
    """Make ``moves`` (identity_key, customer_before, customer_after, records) and ``revenue`` (identity_key, currency,
    net_amount)."""
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE moves AS
        SELECT h.identity_key, b.customer_id AS customer_before, a.customer_id AS customer_after, h.records
        FROM held h
        LEFT JOIN {store.table("assignments")} b USING (identity_key)
        LEFT JOIN assignments a USING (identity_key)
    """)
    connection.execute(f"ATTACH {literal(settings.warehouse)} AS warehouse (READ_ONLY)")
    try:
        built = connection.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'warehouse' AND table_name = 'int_order_parts'"
        ).fetchall()[0][0]
        orders = (
            "warehouse.intermediate.int_order_parts" if built else "(SELECT NULL AS identity_key, NULL AS currency,"
        )
        orders += "" if built else " CAST(NULL AS DECIMAL(18, 2)) AS net_amount LIMIT 0)"
        connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE revenue AS
            SELECT identity_key, coalesce(currency, '') AS currency, sum(net_amount) AS net_amount
            FROM {orders} WHERE identity_key IS NOT NULL GROUP BY ALL
        """)
    finally:
        connection.execute("DETACH warehouse")


def _moves(connection: duckdb.DuckDBPyConnection, one: str, several: str) -> tuple[Move, ...]:
    rows = connection.execute(f"""
        SELECT {one}, list_sort(list(DISTINCT {several})), CAST(sum(records) AS BIGINT) AS records
        FROM moves WHERE {one} IS NOT NULL AND {several} IS NOT NULL
        GROUP BY {one} HAVING count(DISTINCT {several}) > 1 ORDER BY records DESC, {one}
    """).fetchall()
    revenue: dict[str, Money] = {}
    for customer, currency, amount in (
        connection.execute(f"""
        SELECT {one}, currency, sum(net_amount) FROM moves JOIN revenue USING (identity_key)
        WHERE {one} IS NOT NULL GROUP BY ALL ORDER BY ALL
    """).fetchall()
        if rows
        else ()
    ):
        revenue.setdefault(customer, {})[currency] = amount
    return tuple(
        Move(customer, tuple(other for other in others if other != customer), records, revenue.get(customer, {}))
        for customer, others, records in rows
    )


def _money(connection: duckdb.DuckDBPyConnection, keys: str) -> Money:
    rows = connection.execute(f"""
        SELECT currency, sum(net_amount) FROM revenue WHERE identity_key IN ({keys}) GROUP BY currency ORDER BY currency
    """).fetchall()
    return dict(rows)
