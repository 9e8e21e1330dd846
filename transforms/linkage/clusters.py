"""Profiles of one person, in two stages: loose components of the pairs, then average linkage within each.

A component is as large as its worst pair: at a probability of 0.05 one of 50,000 profiles held 45,000. Average linkage
asks of two groups what all their pairs say together, so that one bad pair joins nobody.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage

from transforms.identity.components import connected

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

_STEP = 1.0  # a component over the cap is looked at again at twice the odds


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


def average_clusters(
    components: Ints, left: Ints, right: Ints, probability: Floats, least: float, together: Ints | None = None
) -> Ints:
    """Cluster of each profile, named after its first profile: average linkage within each component, where groups join
    at a mean probability of ``least``. A pair that is not given has the probability 0; pairs of different
    components, or of none, say nothing.

    :param together: group of each profile that is known to be one person, -1 for none; such pairs are certain.
    """
    cluster = np.arange(len(components), dtype=np.int32)
    size = np.bincount(components[components >= 0], minlength=1)
    inside = (components[left] >= 0) & (components[left] == components[right])
    left, right, probability = left[inside], right[inside], probability[inside]
    is_couple = size[components[left]] == 2
    # Nearly all components are two profiles, of which no tree needs to be made.
    joins = 1 - probability[is_couple] <= 1 - least
    one, other = left[is_couple][joins], right[is_couple][joins]
    cluster[np.maximum(one, other)] = np.minimum(one, other)
    if together is not None:
        _join_known_couples(cluster, components, size, together)
    is_crowd = ~is_couple
    for members, distance in _distances(components, size, left[is_crowd], right[is_crowd], probability[is_crowd]):
        if together is not None:
            group = together[members]
            distance[(group[:, None] == group[None, :]) & (group >= 0)[:, None]] = 0
        label = fcluster(linkage(distance[np.triu_indices(len(distance), 1)], "average"), 1 - least, "distance")
        smallest = np.full(label.max() + 1, len(components), dtype=np.int32)
        np.minimum.at(smallest, label, members)
        cluster[members] = smallest[label]
    return cluster


def _join_known_couples(cluster: Ints, components: Ints, size: npt.NDArray[np.integer], together: Ints) -> None:
    couples = np.flatnonzero(components >= 0)
    couples = couples[size[components[couples]] == 2]
    one, other = couples[np.argsort(components[couples], kind="stable")].reshape(-1, 2).T
    known = (together[one] == together[other]) & (together[one] >= 0)
    cluster[other[known]] = one[known]


def _distances(
    components: Ints, size: npt.NDArray[np.integer], left: Ints, right: Ints, probability: Floats
) -> Iterator[tuple[Ints, Floats]]:
    """Members of each component of more than two, in order, and the distance of each two."""
    crowds = np.flatnonzero(components >= 0)
    crowds = crowds[size[components[crowds]] > 2]
    crowds = crowds[np.argsort(components[crowds], kind="stable")]
    if not len(crowds):
        return
    names, starts = np.unique(components[crowds], return_index=True)
    ends = np.append(starts[1:], len(crowds))
    position = np.empty(len(components), dtype=np.int64)
    position[crowds] = np.arange(len(crowds)) - np.repeat(starts, ends - starts)
    order = np.argsort(components[left], kind="stable")
    of_pair = components[left][order]
    first, last = np.searchsorted(of_pair, names, side="left"), np.searchsorted(of_pair, names, side="right")
    for start, end, pair_start, pair_end in zip(starts, ends, first, last, strict=True):
        members = crowds[start:end].astype(np.int32)
        distance = np.ones((len(members), len(members)))
        here = order[pair_start:pair_end]
        i, j = position[left[here]], position[right[here]]
        distance[i, j] = distance[j, i] = 1 - probability[here]
        yield members, distance


def expected_f1(cluster: Ints, left: Ints, right: Ints, probability: Floats) -> float:
    """The F1 of pairs that the model expects of clusters, if its probabilities are right."""
    joined = cluster[left] == cluster[right]
    sizes = np.bincount(cluster)
    pairs = float((sizes * (sizes - 1) / 2).sum())
    total = pairs + float(probability.sum())
    return 2 * float(probability[joined].sum()) / total if total else 1.0
