"""The guard's careful way: merge customers level by level, from the strongest type to the weakest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transforms.identity.components import Nodes, connected
from transforms.identity.limits import Guarded, Ints, Limits, distinct_pairs


def merge_by_level(matrix: Nodes, limits: Limits, outcome: Guarded, first_label: int) -> None:
    """Cluster the identifiers of some observations under the limits, into ``outcome``.

    :param matrix: observations × levels; complete components, so that no identifier is held elsewhere.
    :param first_label: clusters are numbered from here.
    """
    state = _Customers(len(matrix), limits)
    for level in range(len(limits.names)):
        _merge_level(state, level, matrix[:, level], outcome)
    for nodes, clusters in state.settled:
        outcome.cluster[nodes] = clusters + first_label


class _Customers:
    """The customers so far: rows by customer, identifiers by customer, and how many of each type a customer has."""

    def __init__(self, rows: int, limits: Limits) -> None:
        self.limits = limits
        self.of_row: Ints = np.full(rows, -1, dtype=np.int64)
        self.counts: Ints = np.zeros((0, len(limits.names)), dtype=np.int64)
        self.settled: list[tuple[Nodes, Ints]] = []


class _Bridges:
    """The values of one level, and the customers that each would join."""

    def __init__(self, column: Nodes, of_row: Ints) -> None:
        self.rows = np.flatnonzero(column >= 0)
        self.nodes, self.index = np.unique(column[self.rows], return_inverse=True)
        customers = of_row[self.rows]
        known = customers >= 0
        self.value, self.customer = distinct_pairs(self.index[known], customers[known])
        self.accepted = np.ones(len(self.nodes), dtype=bool)

    def contest(self, values: npt.NDArray[np.integer], reason: str, outcome: Guarded) -> None:
        """Take values out of this level's merges."""
        outcome.contest(self.nodes[values], reason)
        self.accepted[values] = False
        kept = self.accepted[self.value]
        self.value, self.customer = self.value[kept], self.customer[kept]


def _merge_level(state: _Customers, level: int, column: Nodes, outcome: Guarded) -> None:
    bridges = _Bridges(column, state.of_row)
    _contest_shared(state, level, bridges, outcome)
    refused = _merges_beyond_limits(state, level, bridges)
    bridges.contest(refused, "would join customers beyond the limits of one customer", outcome)
    outcome.refused_merges += len(refused)

    label, counts = _merged(state, level, bridges)
    of_value = label[len(state.counts) :]
    state.of_row = np.where(state.of_row >= 0, label[state.of_row], -1) if len(label) else state.of_row
    joined = bridges.accepted[bridges.index]
    state.of_row[bridges.rows[joined]] = of_value[bridges.index[joined]]
    state.settled = [(nodes, label[customers]) for nodes, customers in state.settled]
    state.settled.append((bridges.nodes[bridges.accepted], of_value[bridges.accepted]))
    state.counts = counts


def _contest_shared(state: _Customers, level: int, bridges: _Bridges, outcome: Guarded) -> None:
    """Contest values that touch too many customers who have a stronger type."""
    names = state.limits.names
    for stronger in np.flatnonzero(state.limits.shared[level, :level]):
        limit = int(state.limits.shared[level, stronger])
        has_type = state.counts[bridges.customer, stronger] > 0
        customers = np.bincount(bridges.value[has_type], minlength=len(bridges.nodes))
        reason = f"{names[level]} of more than {limit} customers with {names[stronger]}"
        bridges.contest(np.flatnonzero(customers > limit), reason, outcome)


def _merged(state: _Customers, level: int, bridges: _Bridges) -> tuple[Ints, Ints]:
    """Merge by all values still accepted: the new label of each customer and then of each value, and new counts."""
    customers, values = len(state.counts), len(bridges.nodes)
    label = connected(customers + values, bridges.value + customers, bridges.customer).astype(np.int64)
    counts = np.zeros((int(label.max(initial=-1)) + 1, len(state.limits.names)), dtype=np.int64)
    np.add.at(counts, label[:customers], state.counts)  # customers are disjoint, so their identifiers add up
    np.add.at(counts[:, level], label[customers:][bridges.accepted], 1)
    return label, counts


def _merges_beyond_limits(state: _Customers, level: int, bridges: _Bridges) -> Ints:
    """The values whose merge would break a limit of one customer."""
    label, counts = _merged(state, level, bridges)
    merges = np.bincount(label[: len(state.counts)], minlength=len(counts)) > 1
    # A customer may grow beyond a limit by values of its own (a browser that forgets its cookie every day); that
    # joins nobody, so nothing would be won by refusing them.
    broken = merges & state.limits.broken(counts)
    touched = broken[label[bridges.customer]]
    return _take_in_order(level, bridges.value[touched], bridges.customer[touched], state)


def _take_in_order(level: int, value: Ints, customer: Ints, state: _Customers) -> Ints:
    """Constrained union–find: values that join the fewest customers first, then by node; refuse what breaks a limit."""
    degree = np.bincount(value) if len(value) else np.zeros(0, np.int64)
    held = dict(zip(customer.tolist(), state.counts[customer].tolist(), strict=True))
    for only in customer[degree[value] == 1].tolist():
        held[only][level] += 1
    order = np.lexsort((value, degree[value]))
    order = order[degree[value[order]] > 1]
    per_customer, total = state.limits.per_customer.tolist(), state.limits.total
    parent = {c: c for c in held}
    refused: list[int] = []
    taken = 0
    ordered_values, ordered_customers = value[order].tolist(), customer[order].tolist()
    while taken < len(ordered_values):
        this = ordered_values[taken]
        end = taken + int(degree[this])
        roots = sorted({_root(parent, c) for c in ordered_customers[taken:end]})
        taken = end
        together = [sum(column) for column in zip(*(held[r] for r in roots), strict=True)]
        together[level] += 1
        too_many = sum(together) > total or any(n > most for n, most in zip(together, per_customer, strict=True))
        if len(roots) > 1 and too_many:
            refused.append(this)
            continue
        held[roots[0]] = together
        for other in roots[1:]:
            parent[other] = roots[0]
    return np.array(refused, dtype=np.int64)


def _root(parent: dict[int, int], item: int) -> int:
    while parent[item] != item:
        parent[item] = parent[parent[item]]
        item = parent[item]
    return item
