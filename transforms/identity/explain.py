"""Why an identifier belongs to a customer, and why two records are one person or are not.

Everything is read from what the last runs left: the identifiers and customers of the lake, and the observations of the
warehouse, which is opened read-only for the moment that it takes to copy one customer's. The links are not stored one
by one; they follow from the observations, as in the run itself: identifiers that stand in one observation belong
together, if the guard left them. What a run refused is known by the identifier that it refused, with the reason, not
by the pair of customers that it kept apart.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import duckdb

from transforms.identity.edges import OBSERVATIONS, build_nodes
from transforms.identity.normalise import normalise_values, phone_region_expression
from transforms.identity.policy import Policy, load_policy
from transforms.identity.store import IdentityStore
from transforms.settings import Settings
from transforms.sql import identifier, literal, scratch_connection

_STAGING = "staging"


class ExplainError(LookupError):
    """It cannot be explained; the message says why and what to do."""


@dataclass(frozen=True)
class Observation:
    """A combination of raw identifiers in one source; ``values`` are those identifiers by type, personal data."""

    key: str
    source: str
    records: int
    first_seen_at: dt.datetime
    last_seen_at: dt.datetime
    values: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class Known:
    """An identifier: ``shown`` is masked unless the values were asked for, ``status`` as in the lake's identifiers.

    ``observations`` hold it, by their keys.
    """

    type: str
    shown: str
    status: str
    reason: str | None
    first_seen_at: dt.datetime
    last_seen_at: dt.datetime
    records: int
    observations: tuple[str, ...]


@dataclass(frozen=True)
class Hop:
    """One step of evidence: both identifiers, or the record that was asked for and one of its, stand together."""

    start: str
    observation: str
    end: str


@dataclass(frozen=True)
class Former:
    """An id that the customer had before, and since when it is only another name for it."""

    customer_id: str
    since: dt.date
    run_id: str
    reason: str


@dataclass(frozen=True)
class Subject:
    """What was asked for: a customer, or an identifier or record that belongs to nobody (``customer_id`` None)."""

    asked: str
    customer_id: str | None
    why_nobody: str | None = None
    former: tuple[Former, ...] = ()
    identifiers: tuple[Known, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """The answer. ``path`` leads from the first to the second where both are one customer.

    ``between`` are the identifiers that stand in observations of both where they are not, with the reason why none of
    them joins the two.
    """

    first: Subject
    second: Subject | None
    path: tuple[Hop, ...]
    between: tuple[Known, ...]
    observations: dict[str, Observation]


@dataclass(frozen=True)
class _Target:
    """What a word stands for: a customer, the identifiers to start from, and the observation of a record."""

    asked: str
    customer_id: str | None
    starts: frozenset[tuple[str, str]]
    observation: str | None = None
    why_nobody: str | None = None


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
    policy = policy or load_policy()
    store = IdentityStore(settings)
    if not store.exists() or not settings.warehouse.exists():
        raise ExplainError("no run has resolved identities yet; run: watershed run")
    with scratch_connection(settings) as connection:
        for table in ("identifiers", "assignments", "aliases", "registry", "customers"):
            connection.execute(
                f"CREATE TEMP VIEW stored_{table} AS SELECT * FROM read_parquet({literal(store.file(table))})"
            )
        targets = [_target(connection, settings, phone_regions, word, policy) for word in (asked, other) if word]
        _copy_observations(connection, settings, phone_regions, targets)
        graph = _Graph(connection, policy, reveal)
        subjects = [_subject(connection, graph, target) for target in targets]
        first, second = subjects[0], subjects[1] if len(subjects) > 1 else None
        path: tuple[Hop, ...] = ()
        between: tuple[Known, ...] = ()
        if second and first.customer_id and first.customer_id == second.customer_id:
            path = graph.path(targets[0], targets[1])
        elif second:
            between = graph.shared(first.customer_id, second.customer_id)
        return Explanation(first, second, path, between, graph.observations)


@contextmanager
def _warehouse(connection: duckdb.DuckDBPyConnection, settings: Settings) -> Any:
    try:
        connection.execute(f"ATTACH {literal(settings.warehouse)} AS warehouse (READ_ONLY)")
    except duckdb.IOException as error:
        raise ExplainError(f"a run is writing {settings.warehouse}; ask again when it has ended") from error
    try:
        yield
    finally:
        connection.execute("DETACH warehouse")


def _target(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    phone_regions: Mapping[str, str],
    word: str,
    policy: Policy,
) -> _Target:
    """What a word stands for: a customer first, then an identifier, then a record."""
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
        return _Target(word, customer[0], frozenset(rows))
    found = _identifiers_like(connection, phone_regions, word, policy)
    if found:
        kinds = sorted({kind for kind, *_ in found})
        if len(kinds) > 1:
            choices = ", ".join(f"{kind}:…" for kind in kinds)
            raise ExplainError(f"several types of identifiers have this value; write one of {choices}")
        kind, value, customer_id, status, reason = found[0]
        why = None if customer_id else f"{status}: {reason or 'no record holds it with a usable identifier'}"
        return _Target(word, customer_id, frozenset({(kind, value)}), why_nobody=why)
    return _record(connection, settings, word)


def _identifiers_like(
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


def _record(connection: duckdb.DuckDBPyConnection, settings: Settings, word: str) -> _Target:
    with _warehouse(connection, settings):
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
        return _Target(word, None, frozenset(), why_nobody="the record holds no identifier")
    customer = connection.execute(
        "SELECT customer_id FROM stored_assignments WHERE identity_key = $key", {"key": key}
    ).fetchone()
    why = None if customer else "no identifier of the record joins a customer: each is blocked, contested or weak"
    return _Target(word, customer[0] if customer else None, frozenset(), key, why)


def _copy_observations(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    phone_regions: Mapping[str, str],
    targets: Iterable[_Target],
) -> None:
    """Copy the observations of the customers, and of records that belong to nobody."""
    wanted = {
        "customers": [target.customer_id for target in targets if target.customer_id],
        "records": [target.observation for target in targets if target.observation],
    }
    with _warehouse(connection, settings):
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE {OBSERVATIONS} AS
            SELECT o.*, {phone_region_expression(phone_regions, "o.source")} AS region
            FROM warehouse.intermediate.int_identity_observations o
            LEFT JOIN stored_assignments a USING (identity_key)
            WHERE list_contains($customers, a.customer_id) OR list_contains($records, o.identity_key)
            """,
            wanted,
        )


class _Graph:
    """The identifiers and observations of a few customers, as the run linked them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, policy: Policy, reveal: bool) -> None:
        kinds = ", ".join(identifier(kind) for kind in policy.levels)
        raw = connection.execute(
            f"SELECT identity_key, source, records, first_seen_at, last_seen_at, {kinds} FROM {OBSERVATIONS}"
        ).fetchall()
        self.observations = {
            key: Observation(key, source, records, first, last, _given(policy.levels, values))
            for key, source, records, first, last, *values in raw
        }
        build_nodes(connection, policy)
        self._held: dict[str, list[int]] = {
            row[0]: [node for node in row[1:] if node is not None]
            for row in connection.execute(f"SELECT identity_key, {kinds} FROM held ORDER BY identity_key").fetchall()
        }
        shown = "i.identifier_value" if reveal else "i.identifier_masked"
        nodes = connection.execute(f"""
            SELECT n.node, n.type, n.value, {shown}, i.status, i.reason, i.first_seen_at, i.last_seen_at, i.records,
                   i.customer_id
            FROM nodes n JOIN stored_identifiers i ON i.identifier_type = n.type AND i.identifier_value = n.value
            ORDER BY n.node
        """).fetchall()
        holders: dict[int, list[str]] = {}
        for key, held in self._held.items():
            for node in held:
                holders.setdefault(node, []).append(key)
        self.node_of = {(row[1], row[2]): row[0] for row in nodes}
        self.known = {
            node: Known(kind, text, status, reason, first, last, records, tuple(holders.get(node, ())))
            for node, kind, _, text, status, reason, first, last, records, _ in nodes
        }
        self.customer = {row[0]: row[9] for row in nodes}
        assigned = connection.execute(
            "SELECT identity_key, customer_id FROM stored_assignments WHERE list_contains($keys, identity_key)",
            {"keys": list(self.observations)},
        ).fetchall()
        self._customer_of_observation = dict(assigned)

    def of_customer(self, customer_id: str) -> tuple[Known, ...]:
        """Identifiers in the customer's observations, those that link first."""
        nodes = {node for key in self._keys(customer_id) for node in self._held.get(key, ()) if node in self.known}
        return tuple(self.known[node] for node in sorted(nodes, key=lambda n: (self.customer[n] is None, n)))

    def shared(self, first: str | None, second: str | None) -> tuple[Known, ...]:
        """Identifiers in observations of both, none of which joins them."""
        if not first or not second:
            return ()
        left, right = ({n for key in self._keys(c) for n in self._held.get(key, ())} for c in (first, second))
        return tuple(self.known[node] for node in sorted(left & right) if node in self.known)

    def path(self, first: _Target, second: _Target) -> tuple[Hop, ...]:
        """The fewest steps between two targets of one customer; ties go to the stronger identifier."""
        goals = self._starts(second)
        came: dict[int, tuple[int, str] | None] = dict.fromkeys(sorted(self._starts(first)))
        if first.observation and first.observation == second.observation:
            return ()
        waiting = deque(came)
        while waiting:
            node = waiting.popleft()
            if node in goals:
                return self._traced(came, node, first, second)
            for key in self.known[node].observations:
                # Nodes are numbered from the strongest type to the weakest.
                for onward in sorted(self._held[key]):
                    if onward not in came and self.customer.get(onward):
                        came[onward] = (node, key)
                        waiting.append(onward)
        return ()

    def _starts(self, target: _Target) -> set[int]:
        held = self._held.get(target.observation, []) if target.observation else []
        named = [self.node_of[start] for start in target.starts if start in self.node_of]
        return {node for node in (*held, *named) if self.customer.get(node)}

    def _traced(
        self, came: dict[int, tuple[int, str] | None], node: int, first: _Target, second: _Target
    ) -> tuple[Hop, ...]:
        hops = [Hop(self._name(node), second.observation, f"record {second.asked}")] if second.observation else []
        while step := came[node]:
            before, key = step
            hops.append(Hop(self._name(before), key, self._name(node)))
            node = before
        if first.observation:
            hops.append(Hop(f"record {first.asked}", first.observation, self._name(node)))
        return tuple(reversed(hops))

    def _name(self, node: int) -> str:
        return f"{self.known[node].type} {self.known[node].shown}"

    def _keys(self, customer_id: str) -> list[str]:
        return [key for key, customer in self._customer_of_observation.items() if customer == customer_id]


def _given(kinds: Iterable[str], values: Iterable[str | None]) -> dict[str, str]:
    return {kind: value for kind, value in zip(kinds, values, strict=True) if value is not None}


def _subject(connection: duckdb.DuckDBPyConnection, graph: _Graph, target: _Target) -> Subject:
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
