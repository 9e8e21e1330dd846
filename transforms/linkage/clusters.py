"""Profiles of one person, in two stages: loose components of the pairs, then average linkage within each.

A component is as large as its worst pair: at a probability of 0.05 one of 50,000 profiles held 45,000. Average linkage
asks of two groups what all their pairs say together, so that one bad pair joins nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage

from transforms.identity.components import connected

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

_STEP = 1.0  # a component over the cap is looked at again at twice the odds


@dataclass(frozen=True)
class Tree:
    """How the profiles of one component join, by SciPy's linkage matrix; heights are 1 − mean probability."""

    members: Ints
    joins: Floats


def loose_components(profiles: int, left: Ints, right: Ints, probability: Floats, least: float, largest: int) -> Ints:
    """Component of each profile under pairs of at least a probability; -1 for a profile that is alone.

    A component of more than ``largest`` profiles is taken apart at ever higher odds. What does not come apart even
    among certain pairs stays apart profile by profile: it says that the evidence is worth nothing there.
    """
    odds = np.log2(np.clip(probability, 1e-12, 1 - 1e-12) / (1 - np.clip(probability, 1e-12, 1 - 1e-12)))
    floor = float(np.log2(least / (1 - least)))
    result = np.full(profiles, -1, dtype=np.int32)
    found = 0
    open_ = np.ones(profiles, dtype=bool)
    while True:
        kept = (odds >= floor) & open_[left]
        left, right, odds = left[kept], right[kept], odds[kept]
        if not len(left):
            return result
        component = connected(profiles, left, right)
        size = np.bincount(component, minlength=1)
        done = open_ & (size[component] > 1) & (size[component] <= largest)
        names, numbers = np.unique(component[done], return_inverse=True)
        result[done] = numbers + found
        found += len(names)
        open_ &= size[component] > largest
        floor += _STEP


def trees(components: Ints, left: Ints, right: Ints, probability: Floats, together: Ints | None = None) -> list[Tree]:
    """Average linkage in each component; a pair that is not given has the probability 0.

    :param together: group of each profile that is known to be one person, -1 for none; such pairs are certain.
    """
    return list(_trees(components, left, right, probability, together))


def _trees(components: Ints, left: Ints, right: Ints, probability: Floats, together: Ints | None) -> Iterator[Tree]:
    by_component = np.argsort(components, kind="stable")
    by_component = by_component[components[by_component] >= 0]
    if not len(by_component):
        return
    names, starts = np.unique(components[by_component], return_index=True)
    position = np.empty(len(components), dtype=np.int64)
    ends = np.append(starts[1:], len(by_component))
    position[by_component] = np.arange(len(by_component)) - np.repeat(starts, ends - starts)
    order = np.argsort(components[left], kind="stable")
    of_pair = components[left][order]
    first, last = np.searchsorted(of_pair, names, side="left"), np.searchsorted(of_pair, names, side="right")
    for start, end, pair_start, pair_end in zip(starts, ends, first, last, strict=True):
        members = by_component[start:end].astype(np.int32)
        distance = np.ones((len(members), len(members)))
        here = order[pair_start:pair_end]
        i, j = position[left[here]], position[right[here]]
        distance[i, j] = distance[j, i] = 1 - probability[here]
        if together is not None:
            group = together[members]
            distance[(group[:, None] == group[None, :]) & (group >= 0)[:, None]] = 0
        yield Tree(members, _joins(distance))


def _joins(distance: Floats) -> Floats:
    if len(distance) == 2:  # as most are; SciPy would take a hundred times as long
        return np.array([[0.0, 1.0, distance[0, 1], 2.0]])
    return linkage(distance[np.triu_indices(len(distance), 1)], "average")


def cut(profiles: int, forest: Sequence[Tree], least: float) -> Ints:
    """Cluster of each profile, named after its first profile: groups join at a mean probability of ``least``."""
    cluster = np.arange(profiles, dtype=np.int32)
    for tree in forest:
        label = _labels(tree.joins, 1 - least)
        smallest = np.full(label.max() + 1, profiles, dtype=np.int32)
        np.minimum.at(smallest, label, tree.members)
        cluster[tree.members] = smallest[label]
    return cluster


def _labels(joins: Floats, highest: float) -> npt.NDArray[np.integer]:
    if len(joins) == 1:
        return np.array([1, 1 if joins[0, 2] <= highest else 2])
    return fcluster(joins, highest, "distance")


def expected_f1(cluster: Ints, left: Ints, right: Ints, probability: Floats) -> float:
    """The F1 of pairs that the model expects of clusters, if its probabilities are right."""
    joined = cluster[left] == cluster[right]
    sizes = np.bincount(cluster)
    pairs = float((sizes * (sizes - 1) / 2).sum())
    total = pairs + float(probability.sum())
    return 2 * float(probability[joined].sum()) / total if total else 1.0
