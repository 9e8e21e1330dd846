"""Values that too many people share, as the values around them show."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transforms.identity.components import Nodes
from transforms.identity.limits import Guarded, Ints, Limits, distinct_pairs

Pairs = tuple[Ints, Ints]


def contest_hubs(matrix: Nodes, limits: Limits, outcome: Guarded) -> None:
    """Take values that are seen with too many values of a weaker type out of ``matrix``, as contested.

    Seen with means in one observation, or through one value of a still weaker type that is not itself shared: a
    cashier's card stands beside payment cards only, but these lead to the addresses of their owners.
    """
    hubs: list[tuple[int, npt.NDArray[np.integer], str]] = []
    # All are counted before any is taken out, so that the order of types does not matter.
    for level, weaker in zip(*np.nonzero(np.triu(limits.shared, 1)), strict=True):
        limit = int(limits.shared[level, weaker])
        hub = _values_beyond(limit, matrix, limits, int(level), int(weaker))
        hubs.append(
            (int(level), hub, f"{limits.names[level]} seen with more than {limit} {limits.names[weaker]} values")
        )
    for level, hub, reason in hubs:
        outcome.contest(hub[outcome.reason[hub] < 0], reason)
        matrix[np.isin(matrix[:, level], hub), level] = -1


def _values_beyond(limit: int, matrix: Nodes, limits: Limits, level: int, weaker: int) -> npt.NDArray[np.integer]:
    direct = _pairs(matrix, level, weaker)
    most = _count(direct[0])
    roads: list[tuple[Pairs, Pairs]] = []
    for between in range(weaker + 1, len(limits.names)):
        shared_by = int(limits.shared[between, weaker])
        if not shared_by:
            continue
        to, onward = _pairs(matrix, level, between), _pairs(matrix, between, weaker)
        onward = _only(onward, _count(onward[0])[onward[0]] <= shared_by)
        roads.append((to, onward))
        most = _add(most, shared_by * _count(to[0]))
    # Few values have neighbours enough to be worth counting exactly.
    worth = most > limit
    found = [_only(direct, worth[direct[0]])]
    found += [_joined(_only(to, worth[to[0]]), onward) for to, onward in roads]
    values, _ = distinct_pairs(*(np.concatenate(side) for side in zip(*found, strict=True)))
    return np.flatnonzero(_count(values) > limit)


def _pairs(matrix: Nodes, left: int, right: int) -> Pairs:
    both = (matrix[:, left] >= 0) & (matrix[:, right] >= 0)
    return distinct_pairs(matrix[both, left], matrix[both, right])


def _only(pairs: Pairs, kept: npt.NDArray[np.bool_]) -> Pairs:
    return pairs[0][kept], pairs[1][kept]


def _count(values: Ints) -> Ints:
    return np.bincount(values).astype(np.int64)


def _add(left: Ints, right: Ints) -> Ints:
    total = np.zeros(max(len(left), len(right)), dtype=np.int64)
    total[: len(left)] += left
    total[: len(right)] += right
    return total


def _joined(to: Pairs, onward: Pairs) -> Pairs:
    """Join (a, b) with (b, c), sorted by b, to (a, c)."""
    start = np.searchsorted(onward[0], to[1], side="left")
    length = np.searchsorted(onward[0], to[1], side="right") - start
    # The positions start, start + 1, … of each run, one after the other.
    position = np.arange(length.sum()) + np.repeat(start - (np.cumsum(length) - length), length)
    return np.repeat(to[0], length), onward[1][position]
