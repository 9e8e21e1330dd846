"""Edges that no identifier makes: decisions of people, and likenesses that a model has weighed.

They are the weakest of all: they join customers as the identifiers have made them, the surest first, and change nothing
else, so that a link that is gone leaves everybody as they were before it. Whatever would give one customer more than
the policy allows is refused, and so is what would join those whom people keep apart; a link that people have set only
stops at the latter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transforms.identity.apart import NEVER, Apart, Marked, is_torn
from transforms.identity.components import connected
from transforms.identity.levels import BEYOND
from transforms.identity.limits import Guarded, Ints, Limits

RIVALS = "both ends have accounts or cards of their own"
UNUSABLE = "an end of it joins nobody today"


@dataclass(frozen=True)
class Ends:
    """One end of each link: an observation, or a node where the observation is -1."""

    rows: Ints
    nodes: Ints


@dataclass(frozen=True)
class Edges:
    """Links between observations or nodes, in the order in which they are tried.

    ``forced``: set by people, whom no limit stops.
    """

    left: Ends
    right: Ends
    forced: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.forced)


def join_linked(
    edges: Edges, guarded: Guarded, level_of_node: npt.NDArray[np.integer], limits: Limits, apart: Apart
) -> list[str | None]:
    """Merge the clusters that links join, in ``guarded``; an observation without a cluster gets one by its link.

    Clusters keep to the limits of one customer, and never hold both sides of a pair in ``apart``.

    :return: for each edge why it was refused, None where it holds.
    """
    if not len(edges):
        return []
    _give_clusters(edges, guarded)
    ends = [_clusters(ends, guarded) for ends in (edges.left, edges.right)]
    is_possible = (ends[0] >= 0) & (ends[1] >= 0)
    reason: list[str | None] = [None if usable else UNUSABLE for usable in is_possible.tolist()]
    possible = np.flatnonzero(is_possible)
    clusters, index = np.unique(np.concatenate([end[possible] for end in ends]), return_inverse=True)
    left, right = index[: len(possible)], index[len(possible) :]
    # Index -1 reads the last entry: no cluster takes part in no link.
    position = np.full(_last_label(guarded) + 2, -1, dtype=np.int64)
    position[clusters] = np.arange(len(clusters))
    counts = _counts(guarded, level_of_node, position, len(clusters), limits)
    marked = apart.rows.moved(position[guarded.row_cluster]) + apart.nodes.moved(position[guarded.cluster])
    label = connected(len(clusters), left, right).astype(np.int64)
    doubtful = _beyond(label, counts, marked, limits)
    join = _Join(counts, marked, limits)
    for edge in np.flatnonzero(doubtful[label[left]]).tolist():
        reason[int(possible[edge])] = join.take(int(left[edge]), int(right[edge]), bool(edges.forced[possible[edge]]))
    # Of components without doubt every link holds; each gets the label of one of its clusters, so does what was joined
    # one by one.
    roots = np.array([join.root(cluster) for cluster in range(len(clusters))], dtype=np.int64)
    _, first = np.unique(label, return_index=True)
    joined = clusters[np.where(doubtful[label], roots, first[label])].astype(np.int32)
    for labels in (guarded.cluster, guarded.row_cluster):
        taking_part = position[labels] >= 0
        labels[taking_part] = joined[position[labels[taking_part]]]
    guarded.tenure_cluster = [
        int(joined[position[cluster]]) if position[cluster] >= 0 else cluster for cluster in guarded.tenure_cluster
    ]
    return reason


def _give_clusters(edges: Edges, guarded: Guarded) -> None:
    """Make a cluster of each observation that has a link and no identifier that links."""
    rows = np.concatenate([edges.left.rows, edges.right.rows])
    alone = np.unique(rows[rows >= 0])
    alone = alone[guarded.row_cluster[alone] < 0]
    first = _last_label(guarded) + 1
    guarded.row_cluster[alone] = np.arange(first, first + len(alone))


def _last_label(guarded: Guarded) -> int:
    tenures = max(guarded.tenure_cluster, default=-1)
    return max(int(guarded.cluster.max(initial=-1)), int(guarded.row_cluster.max(initial=-1)), tenures)


def _clusters(ends: Ends, guarded: Guarded) -> Ints:
    found = np.append(guarded.row_cluster, -1)[ends.rows]
    return np.where(ends.rows >= 0, found, np.append(guarded.cluster, -1)[ends.nodes]).astype(np.int64)


def _counts(
    guarded: Guarded, level_of_node: npt.NDArray[np.integer], position: Ints, clusters: int, limits: Limits
) -> Ints:
    """Identifiers of each cluster that takes part, by level."""
    of_node = position[guarded.cluster]
    taking_part = np.flatnonzero(of_node >= 0)
    cells = of_node[taking_part] * len(limits.names) + level_of_node[taking_part]
    return np.bincount(cells, minlength=clusters * len(limits.names)).reshape(-1, len(limits.names)).astype(np.int64)


def _beyond(label: Ints, counts: Ints, marked: Marked, limits: Limits) -> npt.NDArray[np.bool_]:
    """Components of links that would break a limit or join who must stay apart."""
    total = np.zeros((int(label.max(initial=-1)) + 1, counts.shape[1]), dtype=np.int64)
    np.add.at(total, label, counts)
    beyond = limits.broken(total) | (total > limits.per_link).any(axis=1)
    beyond[marked.moved(label).torn()] = True
    return beyond


class _Join:
    """Constrained union–find over clusters."""

    def __init__(self, counts: Ints, marked: Marked, limits: Limits) -> None:
        self.parent: dict[int, int] = {}
        self.counts = counts.copy()
        self.marks = marked.by_thing()
        self.limits = limits

    def root(self, cluster: int) -> int:
        while (above := self.parent.get(cluster, cluster)) != cluster:
            self.parent[cluster] = self.parent.get(above, above)
            cluster = above
        return cluster

    def take(self, left: int, right: int, forced: bool) -> str | None:
        """Join two clusters, or say why not."""
        left, right = sorted((self.root(left), self.root(right)))
        if left == right:
            return None
        marks = self.marks.get(left, set()) | self.marks.get(right, set())
        if is_torn(marks):
            return NEVER
        together = self.counts[left] + self.counts[right]
        if not forced:
            both = (self.counts[left] > 0) & (self.counts[right] > 0)
            if (both & (together > self.limits.per_link)).any():
                return RIVALS
            if self.limits.broken(together[np.newaxis])[0]:
                return BEYOND
        self.parent[right] = left
        self.counts[left] = together
        if marks:
            self.marks[left] = marks
        return None
