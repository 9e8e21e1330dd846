"""Why an identifier belongs to a customer, and why two records are one person or are not.

Everything is read from what the last runs left: the tables of the lake, and the observations of the warehouse, which
is opened read-only for the moment that it takes to copy one customer's. Identifiers that stand in one observation
belong together, as in the run itself, if the guard left them; links of people and models are edges besides. The way
shown is the most trustworthy: each step costs the tier of the weaker identifier of the two, a link more than any
identifier and the more the less likely it is.
"""

from __future__ import annotations

import datetime as dt
import heapq
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import duckdb

from transforms.identity.edges import OBSERVATIONS, build_nodes
from transforms.identity.normalise import normalise_values, phone_region_expression
from transforms.identity.outcome import RECORD
from transforms.identity.policy import Policy, load_policy
from transforms.identity.store import IdentityStore
from transforms.settings import Settings
from transforms.sql import identifier, literal, scratch_connection

_STAGING = "staging"
_TABLES = (
    *("identifiers", "assignments", "aliases", "registry", "customers"),
    *("edges", "links", "linked_records", "overrides"),
)
# A step by a link costs more than any by identifiers.
_LINK = 10.0


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
    """One step of evidence: two identifiers, or a record that was asked for and one of its, and what joins them.

    ``observation`` is where both stand; None for a link, which ``rule`` names. Without a bridge the customer would fall
    into two, the smaller of ``bridge_side`` identifiers.
    """

    start: str
    observation: str | None
    end: str
    rule: str = "seen_together"
    probability: float | None = None
    is_bridge: bool = False
    bridge_side: int = 0


@dataclass(frozen=True)
class Decided:
    """A decision of people about the customers asked for, as the file of overrides has it, and what became of it."""

    line: int
    action: str
    author: str
    reason: str
    decided_on: dt.date
    status: str
    detail: str | None


@dataclass(frozen=True)
class RefusedLink:
    """A link between the two customers asked for that was not made."""

    rule: str
    reason: str
    probability: float | None


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
    refused: tuple[RefusedLink, ...] = ()
    decisions: tuple[Decided, ...] = ()


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
    policy = policy or load_policy(settings.identity_policy)
    store = IdentityStore(settings)
    if not settings.warehouse.exists() or not store.is_complete():
        raise ExplainError("no run of this version has resolved identities yet; run: watershed run")
    with scratch_connection(settings) as connection:
        for table in _TABLES:
            connection.execute(f"CREATE TEMP VIEW stored_{table} AS FROM {store.table(table)}")
        targets = [_target(connection, settings, phone_regions, word, policy) for word in (asked, other) if word]
        _copy_observations(connection, settings, phone_regions, targets)
        customers = [target.customer_id for target in targets if target.customer_id]
        graph = _Graph(connection, policy, reveal, customers)
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
        found = _identifiers_like(connection, phone_regions, side.removeprefix("key:"), policy)
        return found[0][2] if found else None

    wanted = {first.customer_id, second.customer_id} if second else None
    found: list[Decided] = []
    for left, right, *said in rows:
        named = {customer(left), customer(right)}
        if named == wanted or (wanted is None and first.customer_id in named):
            found.append(Decided(*said))
    return tuple(found)


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
        linked = connection.execute(
            "SELECT customer_id FROM stored_linked_records WHERE record_id = $word", {"word": word}
        ).fetchone()
        if linked:
            return _Target(word, linked[0], frozenset({(RECORD, word)}))
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
            SELECT o.*, {phone_region_expression(phone_regions, "o.source")} AS region, hash(o) AS fingerprint
            FROM warehouse.intermediate.int_identity_observations o
            LEFT JOIN stored_assignments a USING (identity_key)
            WHERE list_contains($customers, a.customer_id) OR list_contains($records, o.identity_key)
            """,
            wanted,
        )


class _Graph:
    """The identifiers and observations of a few customers, as the run linked them."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, policy: Policy, reveal: bool, customers: list[str]
    ) -> None:
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
                   i.customer_id, i.identifier_key
            FROM nodes n JOIN stored_identifiers i ON i.identifier_type = n.type AND i.identifier_value = n.value
            ORDER BY n.node
        """).fetchall()
        holders: dict[int, list[str]] = {}
        for key, held in self._held.items():
            for node in held:
                holders.setdefault(node, []).append(key)
        self.node_of = {(row[1], row[2]): row[0] for row in nodes}
        self._tier = {row[0]: policy.types[row[1]].tier for row in nodes}
        self.known = {
            node: Known(kind, text, status, reason, first, last, records, tuple(holders.get(node, ())))
            for node, kind, _, text, status, reason, first, last, records, *_ in nodes
        }
        self.customer = {row[0]: row[9] for row in nodes}
        self._read_edges(connection, {row[10]: row[0] for row in nodes}, customers)
        assigned = connection.execute(
            "SELECT identity_key, customer_id FROM stored_assignments WHERE list_contains($keys, identity_key)",
            {"keys": list(self.observations)},
        ).fetchall()
        self._customer_of_observation = dict(assigned)

    def _read_edges(
        self, connection: duckdb.DuckDBPyConnection, node_of_key: dict[str, int], customers: list[str]
    ) -> None:
        """The edges that hold, with the size of the smaller side of bridges, and the links among them."""
        self.record_of: dict[int, str] = {}
        self._bridge: dict[frozenset[int], int] = {}
        self._links: dict[int, list[tuple[int, str, float | None]]] = {}
        rows = connection.execute(
            "SELECT left_key, right_key, left_type, right_type, left_masked, right_masked, rule, bridge_side,"
            " probability, customer_id FROM stored_edges"
            " WHERE status = 'linked' AND list_contains($customers, customer_id) ORDER BY ALL",
            {"customers": customers},
        ).fetchall()
        for left_key, right_key, *ends, rule, side, probability, customer in rows:
            for place, key in enumerate((left_key, right_key)):
                if key not in node_of_key and ends[place] == RECORD:
                    self._add_record(node_of_key, key, ends[place + 2], customer)
            if left_key not in node_of_key or right_key not in node_of_key:
                continue
            left, right = node_of_key[left_key], node_of_key[right_key]
            self._bridge[frozenset((left, right))] = side
            if rule != "seen_together":
                self._links.setdefault(left, []).append((right, rule, probability))
                self._links.setdefault(right, []).append((left, rule, probability))

    def _add_record(self, node_of_key: dict[str, int], key: str, record: str, customer: str) -> None:
        """A record without identifiers is a node of its own."""
        node = -1 - len(node_of_key)
        node_of_key[key] = node
        self.node_of[RECORD, record] = node
        self.customer[node] = customer
        self.record_of[node] = record

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
        """The most trustworthy way between two targets of one customer; ties go to the stronger identifier."""
        if first.observation and first.observation == second.observation:
            return ()
        goals = self._starts(second)
        cost = dict.fromkeys(self._starts(first), 0.0)
        came: dict[int, tuple[int, Hop]] = {}
        waiting = [(0.0, node) for node in cost]
        heapq.heapify(waiting)
        while waiting:
            so_far, node = heapq.heappop(waiting)
            if so_far > cost[node]:
                continue
            if node in goals:
                return self._traced(came, node, first, second)
            for onward, more, hop in self._steps(node):
                if so_far + more < cost.get(onward, math.inf):
                    cost[onward] = so_far + more
                    came[onward] = (node, hop)
                    heapq.heappush(waiting, (cost[onward], onward))
        return ()

    def _steps(self, node: int) -> Iterator[tuple[int, float, Hop]]:
        """Where evidence leads from a node, and what each step costs."""
        for key in self.known[node].observations if node in self.known else ():
            # Nodes are numbered from the strongest type to the weakest.
            for onward in sorted(self._held[key]):
                side = self._bridge.get(frozenset((node, onward)))
                if onward != node and side is not None:
                    hop = Hop(self._name(node), key, self._name(onward), is_bridge=side > 0, bridge_side=side)
                    yield onward, float(max(self._tier[node], self._tier[onward])), hop
        for onward, rule, probability in self._links.get(node, ()):
            side = self._bridge.get(frozenset((node, onward)), 0)
            hop = Hop(self._name(node), None, self._name(onward), rule, probability, side > 0, side)
            yield onward, _LINK - math.log(max(probability or 1.0, 1e-9)), hop

    def _starts(self, target: _Target) -> set[int]:
        held = self._held.get(target.observation, []) if target.observation else []
        named = [self.node_of[start] for start in target.starts if start in self.node_of]
        return {node for node in (*held, *named) if self.customer.get(node)}

    def _traced(self, came: dict[int, tuple[int, Hop]], node: int, first: _Target, second: _Target) -> tuple[Hop, ...]:
        hops = [Hop(self._name(node), second.observation, f"record {second.asked}")] if second.observation else []
        while node in came:
            node, hop = came[node]
            hops.append(hop)
        if first.observation:
            hops.append(Hop(f"record {first.asked}", first.observation, self._name(node)))
        return tuple(reversed(hops))

    def _name(self, node: int) -> str:
        if node in self.record_of:
            return f"record {self.record_of[node]}"
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
