"""The limits of a policy as arrays over merging levels, and what the guard reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from transforms.identity.components import Nodes
from transforms.identity.policy import Policy

Ints = npt.NDArray[np.int64]

CUTS = (
    "kept apart by never_link",
    "changed hands; the records of both times cannot be told apart",
    "seen alone, long before or after anybody who is known",
)
"""Why an identifier does not link in a record, though it does elsewhere."""
KEPT_APART, BOTH_TIMES, ALONE = range(len(CUTS))


@dataclass(frozen=True)
class Limits:
    """Limits by level. ``shared[a, b]`` belongs to values of level a seen with level b; 0 means no limit.

    ``idle_days`` is after how many days without a sighting a value may have changed hands, ``alone_days`` how far from
    its owner's days it may be seen alone; 0 means never, and any.
    """

    names: tuple[str, ...]
    per_customer: Ints
    total: int
    shared: Ints
    idle_days: Ints
    alone_days: Ints
    per_link: Ints
    """Identifiers of a level that both ends of a model's link may have together."""
    beside: Ints
    """A value of a level joins fewer customers than this who have others of their own; 0 means no limit."""

    @classmethod
    def of(cls, policy: Policy) -> Limits:
        names = policy.levels
        shared = [[policy.types[a].shared_beyond.get(b, 0) for b in names] for a in names]
        return cls(
            names=names,
            per_customer=np.array([policy.types[name].per_customer for name in names], dtype=np.int64),
            total=policy.identifiers_per_customer,
            shared=np.array(shared, dtype=np.int64),
            per_link=np.array(
                [policy.links.per_customer.get(name, policy.identifiers_per_customer) for name in names], dtype=np.int64
            ),
            beside=np.array([policy.types[name].shared_beside or 0 for name in names], dtype=np.int64),
            idle_days=np.array([policy.types[name].idle_days or 0 for name in names], dtype=np.int64),
            alone_days=np.array([policy.types[name].alone_days or 0 for name in names], dtype=np.int64),
        )

    def broken(self, counts: Ints) -> npt.NDArray[np.bool_]:
        """Customers (rows of identifier counts by level) that hold too many identifiers."""
        return (counts > self.per_customer).any(axis=1) | (counts.sum(axis=1) > self.total)

    def suspicious(self, counts: Ints) -> npt.NDArray[np.bool_]:
        """Components in which a merge could break a limit or a weaker value could be shared."""
        # A value that brings together n customers with a type lies in a component with n values of it.
        weaker = np.tril(self.shared, -1)
        smallest = np.where(weaker > 0, weaker, np.iinfo(np.int64).max).min(axis=0)
        # One value is shared, and each customer beside it has another.
        beside = (self.beside > 0) & (counts > self.beside)
        return self.broken(counts) | (counts > smallest).any(axis=1) | beside.any(axis=1)


@dataclass(frozen=True)
class Tenure:
    """A time in which a value that changed hands belonged to one customer: its own node beside the value's."""

    node: int
    """Node of the value."""
    own: int
    """Node that stands for the value in the rows of this time, numbered after all others."""
    first_day: int
    last_day: int


@dataclass
class Guarded:
    """Outcome of the guard: for each node its cluster, or why it is contested."""

    cluster: Nodes
    """Cluster of each node; -1 for contested nodes and those that no observation holds. Of a value that changed hands
    that of its latest tenure."""
    reason: npt.NDArray[np.int16]
    """Index into ``reasons`` for contested nodes, -1 for others."""
    reasons: list[str] = field(default_factory=list)
    refused_merges: int = 0
    """Values whose merge would have broken a limit of one customer."""
    row_cluster: Nodes = field(default_factory=lambda: np.empty(0, np.int32))
    """Cluster of each observation, -1 where none of its identifiers links."""
    tenures: list[Tenure] = field(default_factory=list)
    tenure_cluster: list[int] = field(default_factory=list)
    """Cluster of each tenure."""
    reason_of_own: dict[int, int] = field(default_factory=dict)
    """Index into ``reasons`` for nodes of tenures that are contested."""
    cut: tuple[Ints, Ints, Ints] = field(default_factory=lambda: cuts(()))
    """Observations, the nodes that they hold but that do not link there, though they do elsewhere, and which of
    :data:`CUTS` is the reason."""

    @classmethod
    def empty(cls, nodes: int) -> Guarded:
        return cls(np.full(nodes, -1, np.int32), np.full(nodes, -1, np.int16))

    def add_rows(self, rows: int) -> None:
        """Make room for so many observations in all; new ones have no cluster."""
        new = np.full(rows - len(self.row_cluster), -1, np.int32)
        self.row_cluster = np.concatenate([self.row_cluster, new])

    def add(self, other: Guarded, number: npt.NDArray[np.integer], new: int) -> None:
        """Put what was found of other components behind it.

        :param number: what each of the other's nodes is here; nodes of both join nobody.
        :param new: how many of these come behind all that are here.
        """
        rows, reasons = len(self.row_cluster), len(self.reasons)
        labels = [self.cluster, self.row_cluster, np.array(self.tenure_cluster, dtype=np.int32)]
        first = max(int(label.max(initial=-1)) for label in labels) + 1
        self.cluster = np.concatenate([self.cluster, np.full(new, -1, np.int32)])
        self.reason = np.concatenate([self.reason, np.full(new, -1, np.int16)])
        linked, contested = other.cluster >= 0, other.reason >= 0
        self.cluster[number[linked]] = other.cluster[linked] + first
        self.reason[number[contested]] = other.reason[contested] + reasons
        self.reasons += other.reasons
        self.refused_merges += other.refused_merges
        moved = np.where(other.row_cluster >= 0, other.row_cluster + first, -1).astype(np.int32)
        self.row_cluster = np.concatenate([self.row_cluster, moved])
        self.tenures += [replace(tenure, node=int(number[tenure.node])) for tenure in other.tenures]
        self.tenure_cluster += [cluster + first if cluster >= 0 else -1 for cluster in other.tenure_cluster]
        cut_rows, cut_nodes, why = other.cut
        both = zip(self.cut, (cut_rows + rows, number[cut_nodes].astype(np.int64), why), strict=True)
        here, there, whys = (np.concatenate(parts) for parts in both)
        self.cut = (here, there, whys)

    def contest(self, nodes: npt.NDArray[np.integer], reason: str) -> None:
        """Take nodes out of every cluster."""
        if len(nodes):
            own = nodes[nodes >= len(self.cluster)]
            self.reason_of_own.update(dict.fromkeys(own.tolist(), len(self.reasons)))
            nodes = nodes[nodes < len(self.cluster)]
            self.reason[nodes] = len(self.reasons)
            self.cluster[nodes] = -1
            self.reasons.append(reason)


def cuts(parts: Iterable[tuple[npt.NDArray[np.integer], npt.NDArray[np.integer], int]]) -> tuple[Ints, Ints, Ints]:
    """Join (rows, nodes, reason) to three arrays of one length."""
    found = [(rows, nodes, np.full(len(rows), reason)) for rows, nodes, reason in parts]
    rows, nodes, reasons = (
        np.concatenate([np.empty(0, np.int64), *(part[place].astype(np.int64) for part in found)]) for place in range(3)
    )
    return rows, nodes, reasons


def distinct_pairs(left: npt.NDArray[np.integer], right: npt.NDArray[np.integer]) -> tuple[Ints, Ints]:
    """Distinct pairs of two arrays of non-negative 32-bit numbers, sorted."""
    keys = np.unique(left.astype(np.int64) << 32 | right.astype(np.int64))
    return keys >> 32, keys & 0xFFFFFFFF
