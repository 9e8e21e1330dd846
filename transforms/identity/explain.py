"""Why an identifier belongs to a customer, and why two records are one person or are not.

Everything is read from what the last runs left: the tables of the lake, and the observations of the warehouse, which
is opened read-only for the moment that it takes to copy one customer's. Identifiers that stand in one observation
belong together, as in the run itself, if the guard left them; links of people and models are edges besides. The way
shown is the most trustworthy: each step costs the tier of the weaker identifier of the two, a link more than any
identifier and the more the less likely it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import duckdb

from transforms.identity.asked import Target, attached_warehouse, find_target, identifiers_like
from transforms.identity.edges import OBSERVATIONS
from transforms.identity.evidence_graph import EvidenceGraph
from transforms.identity.explanation import (
    Decided,
    ExplainError,
    Explanation,
    Former,
    Hop,
    Known,
    RefusedLink,
    Subject,
)
from transforms.identity.normalise import phone_region_expression
from transforms.identity.policy import Policy, load_policy
from transforms.identity.store import IdentityStore
from transforms.settings import Settings
from transforms.sql import scratch_connection

_TABLES = (
    *("identifiers", "assignments", "aliases", "registry", "customers"),
    *("edges", "links", "linked_records", "overrides"),
)


def explain(
    settings: Settings,
    phone_regions: Mapping[str, str],
    asked: str,
    other: str | None = None,
    reveal: bool = False,
    policy: Policy | None = None,
) -> Explanation:
    """Explain a customer, identifier or record, and where ``other`` is given, what joins the two.

    :param asked: a customer id, also a former one; an identifier as any source writes it, ``type:value`` where several
        types have it; an identifier key; or a record as ``source:key``.
    :param reveal: show values instead of masks.
    :raises ExplainError: nothing of that name is known, there is nothing to read yet, or a run is writing.
    """
    policy = policy or load_policy(settings.identity_policy)
    store = IdentityStore(settings)
    if not settings.warehouse.exists() or not store.is_complete():
        raise ExplainError("no run of this version has resolved identities yet; run: watershed run")
    with scratch_connection(settings) as connection:
        for table in _TABLES:
            connection.execute(f"CREATE TEMP VIEW stored_{table} AS FROM {store.table(table)}")
        targets = [find_target(connection, settings, phone_regions, word, policy) for word in (asked, other) if word]
        _copy_observations(connection, settings, phone_regions, targets)
        customers = [target.customer_id for target in targets if target.customer_id]
        graph = EvidenceGraph(connection, policy, reveal, customers)
        subjects = [_subject(connection, graph, target) for target in targets]
        first, second = subjects[0], subjects[1] if len(subjects) > 1 else None
        path: tuple[Hop, ...] = ()
        between: tuple[Known, ...] = ()
        if second and first.customer_id and first.customer_id == second.customer_id:
            path = graph.path(targets[0], targets[1])
        elif second:
            between = graph.shared(first.customer_id, second.customer_id)
        refused = _refused_links(connection, first.customer_id, second.customer_id) if second else ()
        decisions = _decisions(connection, phone_regions, policy, first, second)
        return Explanation(first, second, path, between, graph.observations, refused, decisions)


def _copy_observations(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    phone_regions: Mapping[str, str],
    targets: Iterable[Target],
) -> None:
    """Copy the observations of the customers, and of records that belong to nobody."""
    wanted = {
        "customers": [target.customer_id for target in targets if target.customer_id],
        "records": [target.observation for target in targets if target.observation],
    }
    with attached_warehouse(connection, settings):
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE {OBSERVATIONS} AS
            SELECT o.*, {phone_region_expression(phone_regions, "o.source")} AS region, hash(o) AS fingerprint
            FROM warehouse.intermediate.int_identity_observations o
            LEFT JOIN stored_assignments a USING (identity_key)
            WHERE list_contains($customers, a.customer_id) OR list_contains($records, o.identity_key)
            """,
            wanted,
        )


def _subject(connection: duckdb.DuckDBPyConnection, graph: EvidenceGraph, target: Target) -> Subject:
    if target.customer_id is None:
        return Subject(target.asked, None, target.why_nobody)
    former = connection.execute(
        "SELECT old_customer_id, valid_from, run_id, reason FROM stored_aliases WHERE customer_id = $customer"
        " ORDER BY ALL",
        {"customer": target.customer_id},
    ).fetchall()
    return Subject(
        target.asked,
        target.customer_id,
        former=tuple(Former(*row) for row in former),
        identifiers=graph.of_customer(target.customer_id),
    )


def _refused_links(
    connection: duckdb.DuckDBPyConnection, first: str | None, second: str | None
) -> tuple[RefusedLink, ...]:
    rows = connection.execute(
        "SELECT DISTINCT kind, reason, probability FROM stored_links WHERE status = 'refused'"
        " AND list_sort([left_customer_id, right_customer_id]) = list_sort([$first, $second]) ORDER BY ALL",
        {"first": first, "second": second},
    ).fetchall()
    return tuple(RefusedLink(*row) for row in rows)


def _decisions(
    connection: duckdb.DuckDBPyConnection,
    phone_regions: Mapping[str, str],
    policy: Policy,
    first: Subject,
    second: Subject | None,
) -> tuple[Decided, ...]:
    """Overrides whose sides are the two customers, or of one customer alone those that name any of its records."""
    rows = connection.execute(
        "SELECT left_side, right_side, line, action, author, reason, decided_on, status, detail FROM stored_overrides"
        " ORDER BY line"
    ).fetchall()
    of_record = dict(connection.execute("SELECT record_id, customer_id FROM stored_linked_records").fetchall())

    def customer(side: str) -> str | None:
        if side in of_record:
            return of_record[side]
        found = identifiers_like(connection, phone_regions, side.removeprefix("key:"), policy)
        return found[0][2] if found else None

    wanted = {first.customer_id, second.customer_id} if second else None
    found: list[Decided] = []
    for left, right, *said in rows:
        named = {customer(left), customer(right)}
        if named == wanted or (wanted is None and first.customer_id in named):
            found.append(Decided(*said))
    return tuple(found)
