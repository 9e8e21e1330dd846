"""The guard's careful way: merge customers level by level, from the strongest type to the weakest."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy

import numpy as np
import numpy.typing as npt

from transforms.identity.apart import NEVER, Apart, Marked, is_torn
from transforms.identity.components import Nodes, connected
from transforms.identity.limits import ALONE, BOTH_TIMES, Guarded, Ints, Limits, Tenure, cuts, distinct_pairs
from transforms.identity.tenures import Days, seen_alone, split

BEYOND = "would join customers beyond the limits of one customer"
BESIDE = "in common of customers who have others of their own"


def merge_by_level(
    matrix: Nodes, limits: Limits, outcome: Guarded, first_label: int, apart: Apart, days: Days
) -> tuple[Nodes, tuple[Ints, Ints, Ints]]:
    """Cluster the identifiers of some observations under the limits, into ``outcome``.

    :param matrix: observations × levels; complete components, so that no identifier is held elsewhere.
    :param first_label: clusters are numbered from here.
    :param apart: marks of these observations, and of any nodes.
    :return: the matrix with the nodes of tenures, and what is cut there; see :attr:`Guarded.cut`.
    """
    state = _Customers(len(matrix), limits, apart)
    matrix = matrix.copy()
    cut: list[tuple[Ints, Ints, int]] = []
    tenures: list[Tenure] = []
    for level in range(len(limits.names)):
        ahead = _look_ahead(state, level, matrix, outcome, days) if limits.beside[level] else None
        next_node = len(outcome.cluster) + len(tenures)
        matrix[:, level], found, parts = _in_time(state, level, matrix[:, level], days, next_node)
        tenures += found
        cut += parts
        _merge_level(state, level, matrix[:, level], outcome, ahead)
    cluster_of_own: dict[int, int] = {}
    for nodes, clusters in state.settled:
        is_own = nodes >= len(outcome.cluster)
        outcome.cluster[nodes[~is_own]] = clusters[~is_own] + first_label
        cluster_of_own.update(zip(nodes[is_own].tolist(), (clusters[is_own] + first_label).tolist(), strict=True))
    for tenure in tenures:  # in the order of time: the latest owner is whose the value is now
        cluster = cluster_of_own.get(tenure.own, -1)
        outcome.tenures.append(tenure)
        outcome.tenure_cluster.append(cluster)
        outcome.cluster[tenure.node] = cluster
        outcome.reason[tenure.node] = outcome.reason_of_own.get(tenure.own, -1)
    return matrix, cuts(cut)


class _Customers:
    """The customers so far: rows by customer, identifiers by customer, and how many of each type a customer has."""

    def __init__(self, rows: int, limits: Limits, apart: Apart) -> None:
        self.limits = limits
        self.apart = apart
        self.of_row: Ints = np.full(rows, -1, dtype=np.int64)
        self.counts: Ints = np.zeros((0, len(limits.names)), dtype=np.int64)
        self.marked = Marked()
        self.settled: list[tuple[Nodes, Ints]] = []


class _Bridges:
    """The values of one level, the customers that each would join, and the marks that it brings itself."""

    def __init__(self, column: Nodes, of_row: Ints, apart: Apart) -> None:
        self.rows = np.flatnonzero(column >= 0)
        self.nodes, self.index = np.unique(column[self.rows], return_inverse=True)
        customers = of_row[self.rows]
        known = customers >= 0
        self.value, self.customer = distinct_pairs(self.index[known], customers[known])
        self.accepted = np.ones(len(self.nodes), dtype=bool)
        self.marked = self._marks(column, of_row, apart)

    def _marks(self, column: Nodes, of_row: Ints, apart: Apart) -> Marked:
        """Marks of the values, and of observations that have no customer yet: they come with their first value."""
        if not len(apart):
            return Marked()
        position = np.full(max(int(self.nodes.max(initial=-1)), int(apart.nodes.things.max(initial=-1))) + 1, -1)
        position[self.nodes] = np.arange(len(self.nodes))
        unowned = apart.rows.where((of_row[apart.rows.things] < 0) & (column[apart.rows.things] >= 0))
        return apart.nodes.moved(position) + Marked(position[column[unowned.things]], unowned.marks)

    def contest(self, values: npt.NDArray[np.integer], reason: str, outcome: Guarded) -> None:
        """Take values out of this level's merges."""
        outcome.contest(self.nodes[values], reason)
        self.accepted[values] = False
        kept = self.accepted[self.value]
        self.value, self.customer = self.value[kept], self.customer[kept]
        self.marked = self.marked.where(self.accepted[self.marked.things])


def _in_time(
    state: _Customers, level: int, column: Nodes, days: Days, next_node: int
) -> tuple[Nodes, list[Tenure], list[tuple[Ints, Ints, int]]]:
    """The values of a level as their owners had them: the column, tenures, and what is nobody's.

    :param next_node: number of the first tenure.
    """
    column, limits = column.copy(), state.limits
    tenures: list[Tenure] = []
    cut: list[tuple[Ints, Ints, int]] = []
    if limits.alone_days[level]:
        alone = seen_alone(column, state.of_row, days, int(limits.alone_days[level]))
        cut.append((alone, column[alone].astype(np.int64), ALONE))
        column[alone] = -1
    if limits.idle_days[level]:
        whole = column
        column, tenures, nobodys = split(whole, state.of_row, days, int(limits.idle_days[level]), next_node)
        cut.append((nobodys, whole[nobodys].astype(np.int64), BOTH_TIMES))
    return column, tenures, cut


def _look_ahead(state: _Customers, level: int, matrix: Nodes, outcome: Guarded, days: Days) -> _Customers:
    """The customers whom weaker types would make if this level joined nobody."""
    ahead, nodes = copy(state), len(outcome.cluster)
    ahead.of_row = state.of_row.copy()
    for weaker in range(level + 1, matrix.shape[1]):
        column, _, _ = _in_time(ahead, weaker, matrix[:, weaker], days, nodes)
        _merge_level(ahead, weaker, column, Guarded.empty(nodes))
    return ahead


def _merge_level(
    state: _Customers, level: int, column: Nodes, outcome: Guarded, ahead: _Customers | None = None
) -> None:
    bridges = _Bridges(column, state.of_row, state.apart)
    _contest_shared(state, level, bridges, (bridges.value, bridges.customer), outcome)
    if ahead:
        _contest_joint(ahead, level, bridges, outcome)
    if len(bridges.marked):
        bridges.contest(bridges.marked.torn(), NEVER, outcome)
    beyond, apart = _merges_beyond_limits(state, level, bridges)
    bridges.contest(beyond, BEYOND, outcome)
    bridges.contest(apart, NEVER, outcome)
    outcome.refused_merges += len(beyond) + len(apart)

    label, counts = _merged(state, level, bridges)
    of_value = label[len(state.counts) :]
    state.marked = state.marked.moved(label) + bridges.marked.moved(of_value)
    state.of_row = np.where(state.of_row >= 0, label[state.of_row], -1) if len(label) else state.of_row
    joined = bridges.accepted[bridges.index]
    state.of_row[bridges.rows[joined]] = of_value[bridges.index[joined]]
    state.settled = [(nodes, label[customers]) for nodes, customers in state.settled]
    state.settled.append((bridges.nodes[bridges.accepted], of_value[bridges.accepted]))
    state.counts = counts


def _contest_shared(
    state: _Customers, level: int, bridges: _Bridges, pairs: tuple[Ints, Ints], outcome: Guarded
) -> None:
    """Contest values that touch too many customers who have a stronger type.

    :param pairs: values, and the customers whom they touch.
    """
    names, (value, customer) = state.limits.names, pairs
    for stronger in np.flatnonzero(state.limits.shared[level, :level]):
        limit = int(state.limits.shared[level, stronger])
        has_type = state.counts[customer, stronger] > 0
        customers = np.bincount(value[has_type], minlength=len(bridges.nodes))
        reason = f"{names[level]} of more than {limit} customers with {names[stronger]}"
        bridges.contest(np.flatnonzero(bridges.accepted & (customers > limit)), reason, outcome)


def _contest_joint(ahead: _Customers, level: int, bridges: _Bridges, outcome: Guarded) -> None:
    """Contest values that join customers whom weaker types, left alone, keep apart.

    A couple's card joins his account and her loyalty card before her telephone is asked whose card that is, and then
    her telephone looks shared. So the weaker types, which are the more personal, are asked first.

    :param ahead: the customers whom weaker types would make.
    """
    owner = ahead.of_row[bridges.rows]
    # A browser by itself is nobody: who forgets its cookies would be a couple.
    is_somebody = ahead.counts[:, :level].sum(axis=1) > 0
    known = (owner >= 0) & bridges.accepted[bridges.index]
    known[known] = is_somebody[owner[known]]
    value, customer = distinct_pairs(bridges.index[known], owner[known])
    _contest_shared(ahead, level, bridges, (value, customer), outcome)
    kept = bridges.accepted[value]
    joint = _joint(value[kept], customer[kept], int(ahead.limits.beside[level]))
    bridges.contest(joint, f"only {ahead.limits.names[level]} {BESIDE}", outcome)


def _joint(value: Ints, customer: Ints, most: int) -> Ints:
    """Values that are all that their customers share, where so many of these have values of their own beside."""
    customers = np.bincount(value)
    has_own = np.zeros(int(customer.max(initial=-1)) + 1, dtype=bool)
    has_own[customer[customers[value] == 1]] = True
    beside = np.bincount(value[has_own[customer]], minlength=len(customers))
    values_of: dict[int, list[int]] = {}
    customers_of: dict[int, list[int]] = {}
    joins = customers[value] > 1
    for one, other in zip(value[joins].tolist(), customer[joins].tolist(), strict=True):
        values_of.setdefault(other, []).append(one)
        customers_of.setdefault(one, []).append(other)
    found: list[int] = []
    for this in np.flatnonzero((customers > 1) & (beside >= most)).tolist():
        others = [other for held in customers_of[this] for other in values_of[held] if other != this]
        if len(set(others)) == len(others):  # no other is with two of them
            found.append(this)
    return np.array(found, dtype=np.int64)


def _merged(state: _Customers, level: int, bridges: _Bridges) -> tuple[Ints, Ints]:
    """Merge by all values still accepted: the new label of each customer and then of each value, and new counts."""
    customers, values = len(state.counts), len(bridges.nodes)
    label = connected(customers + values, bridges.value + customers, bridges.customer).astype(np.int64)
    counts = np.zeros((int(label.max(initial=-1)) + 1, len(state.limits.names)), dtype=np.int64)
    np.add.at(counts, label[:customers], state.counts)  # customers are disjoint, so their identifiers add up
    np.add.at(counts[:, level], label[customers:][bridges.accepted], 1)
    return label, counts


def _merges_beyond_limits(state: _Customers, level: int, bridges: _Bridges) -> tuple[Ints, Ints]:
    """The values whose merge would break a limit of one customer, and those that would join who must stay apart."""
    label, counts = _merged(state, level, bridges)
    customers = len(state.counts)
    merges = np.bincount(label[:customers], minlength=len(counts)) > 1
    # A customer may grow beyond a limit by values of its own (a browser that forgets its cookie every day); that
    # joins nobody, so nothing would be won by refusing them.
    broken = merges & state.limits.broken(counts)
    if len(state.marked) or len(bridges.marked):
        broken[(state.marked.moved(label) + bridges.marked.moved(label[customers:])).torn()] = True
    touched = broken[label[bridges.customer]]
    return _take_in_order(level, bridges.value[touched], bridges.customer[touched], state, bridges.marked.by_thing())


def _take_in_order(
    level: int, value: Ints, customer: Ints, state: _Customers, marks: Mapping[int, set[int]]
) -> tuple[Ints, Ints]:
    """Constrained union–find: values that join the fewest customers first, then by node; refuse what breaks a limit.

    ``marks``: by value. Returns the values refused for a limit, and those for a pair that must stay apart.
    """
    degree = np.bincount(value) if len(value) else np.zeros(0, np.int64)
    held = dict(zip(customer.tolist(), state.counts[customer].tolist(), strict=True))
    carried = state.marked.by_thing() if len(state.marked) else {}
    for only in customer[degree[value] == 1].tolist():
        held[only][level] += 1
    order = np.lexsort((value, degree[value]))
    is_looked_at = degree[value[order]] > 1
    if marks:
        is_looked_at |= np.isin(value[order], np.array(list(marks)))
    order = order[is_looked_at]
    per_customer, total = state.limits.per_customer.tolist(), state.limits.total
    parent = {c: c for c in held}
    beyond: list[int] = []
    apart: list[int] = []
    taken = 0
    ordered_values, ordered_customers = value[order].tolist(), customer[order].tolist()
    while taken < len(ordered_values):
        this = ordered_values[taken]
        end = taken + int(degree[this])
        roots = sorted({_root(parent, c) for c in ordered_customers[taken:end]})
        counted_before = end - taken == 1
        taken = end
        together_marks = marks.get(this, set()).union(*(carried.get(r, set()) for r in roots))
        if is_torn(together_marks):
            apart.append(this)
            if counted_before:
                held[roots[0]][level] -= 1
            continue
        if counted_before:
            carried[roots[0]] = together_marks
            continue
        together = [sum(column) for column in zip(*(held[r] for r in roots), strict=True)]
        together[level] += 1
        too_many = sum(together) > total or any(n > most for n, most in zip(together, per_customer, strict=True))
        if len(roots) > 1 and too_many:
            beyond.append(this)
            continue
        held[roots[0]] = together
        if together_marks:
            carried[roots[0]] = together_marks
        for other in roots[1:]:
            parent[other] = roots[0]
    return np.array(beyond, dtype=np.int64), np.array(apart, dtype=np.int64)


def _root(parent: dict[int, int], item: int) -> int:
    while parent[item] != item:
        parent[item] = parent[parent[item]]
        item = parent[item]
    return item
