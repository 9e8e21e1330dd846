"""The identifiers and observations of a few customers as a graph, and the most trustworthy way through it."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator

import duckdb

from transforms.identity.asked import Target
from transforms.identity.edges import OBSERVATIONS, build_nodes
from transforms.identity.explanation import Hop, Known, Observation
from transforms.identity.outcome import RECORD
from transforms.identity.policy import Policy
from transforms.sql import identifier

# A step by a link costs more than any by identifiers.
_LINK = 10.0


class EvidenceGraph:
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

    def path(self, first: Target, second: Target) -> tuple[Hop, ...]:
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

    def _starts(self, target: Target) -> set[int]:
        held = self._held.get(target.observation, []) if target.observation else []
        named = [self.node_of[start] for start in target.starts if start in self.node_of]
        return {node for node in (*held, *named) if self.customer.get(node)}

    def _traced(self, came: dict[int, tuple[int, Hop]], node: int, first: Target, second: Target) -> tuple[Hop, ...]:
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
