"""The limits of a policy as arrays over merging levels, and what the guard reports."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from transforms.identity.components import Nodes
from transforms.identity.policy import Policy

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Limits:
    """Limits by level. ``shared[a, b]`` belongs to values of level a seen with level b; 0 means no limit."""

    names: tuple[str, ...]
    per_customer: Ints
    total: int
    shared: Ints

    @classmethod
    def of(cls, policy: Policy) -> Limits:
        names = policy.levels
        shared = [[policy.types[a].shared_beyond.get(b, 0) for b in names] for a in names]
        return cls(
            names=names,
            per_customer=np.array([policy.types[name].per_customer for name in names], dtype=np.int64),
            total=policy.identifiers_per_customer,
            shared=np.array(shared, dtype=np.int64),
        )

    def broken(self, counts: Ints) -> npt.NDArray[np.bool_]:
        """Customers (rows of identifier counts by level) that hold too many identifiers."""
        return (counts > self.per_customer).any(axis=1) | (counts.sum(axis=1) > self.total)

    def suspicious(self, counts: Ints) -> npt.NDArray[np.bool_]:
        """Components in which a merge could break a limit or a weaker value could be shared."""
        # A value that brings together n customers with a type lies in a component with n values of it.
        weaker = np.tril(self.shared, -1)
        smallest = np.where(weaker > 0, weaker, np.iinfo(np.int64).max).min(axis=0)
        return self.broken(counts) | (counts > smallest).any(axis=1)


@dataclass
class Guarded:
    """Outcome of the guard: for each node its cluster, or why it is contested."""

    cluster: Nodes
    """Cluster of each node; -1 for contested nodes and those that no observation holds."""
    reason: npt.NDArray[np.int16]
    """Index into ``reasons`` for contested nodes, -1 for others."""
    reasons: list[str] = field(default_factory=list)
    refused_merges: int = 0
    """Values whose merge would have broken a limit of one customer."""

    @classmethod
    def empty(cls, nodes: int) -> Guarded:
        return cls(np.full(nodes, -1, np.int32), np.full(nodes, -1, np.int16))

    def contest(self, nodes: npt.NDArray[np.integer], reason: str) -> None:
        """Take nodes out of every cluster."""
        if len(nodes):
            self.reason[nodes] = len(self.reasons)
            self.cluster[nodes] = -1
            self.reasons.append(reason)


def distinct_pairs(left: npt.NDArray[np.integer], right: npt.NDArray[np.integer]) -> tuple[Ints, Ints]:
    """Distinct pairs of two arrays of non-negative 32-bit numbers, sorted."""
    keys = np.unique(left.astype(np.int64) << 32 | right.astype(np.int64))
    return keys >> 32, keys & 0xFFFFFFFF
