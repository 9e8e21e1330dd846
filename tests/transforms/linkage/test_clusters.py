from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage

from transforms.linkage.clusters import average_clusters, expected_f1, loose_components

Pair = tuple[int, int, float]


def arrays(*pairs: Pair) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    left, right, probability = zip(*pairs, strict=True) if pairs else ((), (), ())
    return np.array(left, dtype=np.int32), np.array(right, dtype=np.int32), np.array(probability, dtype=float)


def groups(label: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(label == name).tolist()) for name in set(label.tolist()) if name >= 0}


def clusters(profiles: int, *pairs: Pair, together: list[int] | None = None) -> set[frozenset[int]]:
    left, right, probability = arrays(*pairs)
    components = loose_components(profiles, left, right, probability, 0.05, 100)
    known = None if together is None else np.array(together, dtype=np.int32)
    return groups(average_clusters(components, left, right, probability, 0.5, known))


def test_pairs_below_the_floor_join_nobody() -> None:
    component = loose_components(4, *arrays((0, 1, 0.06), (2, 3, 0.04)), 0.05, 100)
    assert groups(component) == {frozenset({0, 1})}
    assert component[2] == component[3] == -1


def test_a_component_over_the_cap_comes_apart_at_its_weakest_pairs() -> None:
    """Failure case 37: two groups of three that one weak pair joins."""
    sure = [(0, 1, 0.99), (1, 2, 0.99), (3, 4, 0.98), (4, 5, 0.98)]
    pairs = arrays(*sure, (2, 3, 0.2))
    assert groups(loose_components(6, *pairs, 0.05, 6)) == {frozenset(range(6))}
    assert groups(loose_components(6, *pairs, 0.05, 5)) == {frozenset({0, 1, 2}), frozenset({3, 4, 5})}


def test_a_crowd_of_certain_pairs_over_the_cap_is_left_alone() -> None:
    crowd = arrays(*((0, i, 1.0) for i in range(1, 50)))
    assert groups(loose_components(50, *crowd, 0.05, 10)) == set()


@pytest.mark.parametrize(("probability", "together"), [(0.06, False), (0.49, False), (0.5, True), (0.95, True)])
def test_two_profiles_join_as_two_of_more_do(probability: float, together: bool) -> None:
    pair = (0, 1, probability)
    expected = {frozenset({0, 1})} if together else {frozenset({0}), frozenset({1})}
    assert clusters(2, pair) == expected
    assert clusters(3, pair, (0, 2, 0.055), (1, 2, 0.055)) == {*expected, frozenset({2})}


def test_one_bad_pair_joins_nobody() -> None:
    """Components would make one of five; the mean over the six pairs between the groups is 0.15."""
    assert clusters(5, (0, 1, 0.95), (2, 3, 0.95), (2, 4, 0.95), (3, 4, 0.95), (1, 2, 0.9)) == {
        frozenset({0, 1}),
        frozenset({2, 3, 4}),
    }


def test_a_missing_pair_does_not_part_what_the_others_hold() -> None:
    assert clusters(3, (0, 1, 0.9), (1, 2, 0.99)) == {frozenset({0}), frozenset({1, 2})}
    assert clusters(3, (0, 1, 0.9), (1, 2, 0.99), (0, 2, 0.2)) == {frozenset({0, 1, 2})}


def test_what_identifiers_join_is_one_group() -> None:
    """0 and 1 are one person; 2 is like 0 alone, so that the mean of its two pairs is below a half."""
    assert clusters(3, (0, 1, 0.1), (0, 2, 0.9)) == {frozenset({0, 2}), frozenset({1})}
    assert clusters(3, (0, 1, 0.1), (0, 2, 0.9), together=[7, 7, -1]) == {frozenset({0, 1}), frozenset({2})}


def test_the_order_of_pairs_does_not_matter() -> None:
    chance = np.random.default_rng(3)
    left, right = np.triu_indices(40, 1)
    left, right = left.astype(np.int32), right.astype(np.int32)
    probability = chance.random(len(left)).round(2)
    shuffled = chance.permutation(len(left))

    def found(order: np.ndarray) -> list[int]:
        pairs = left[order], right[order], probability[order]
        components = loose_components(40, *pairs, 0.05, 100)
        return average_clusters(components, *pairs, 0.5).tolist()

    assert found(np.arange(len(left))) == found(shuffled)


def test_two_profiles_whom_identifiers_join_are_one() -> None:
    """Unlikely pairs of one group, of two groups and of none, and a likely one of none."""
    pairs = [(0, 3, 0.1), (1, 4, 0.1), (6, 7, 0.1), (2, 5, 0.9)]
    joined = {frozenset({0, 3}), frozenset({2, 5})}
    assert clusters(8, *pairs, together=[5, 7, -1, 5, 8, -1, -1, -1]) == joined | {frozenset({i}) for i in (1, 4, 6, 7)}


def test_no_pairs_no_clusters() -> None:
    assert clusters(3) == {frozenset({0}), frozenset({1}), frozenset({2})}


def test_the_expected_f1_of_a_worked_example() -> None:
    """Pairs of 0.8 joined and 0.4 apart: 2 · 0.8 / (1 pair found + 1.2 expected)."""
    left, right, probability = arrays((0, 1, 0.8), (1, 2, 0.4))
    assert expected_f1(np.array([0, 0, 2]), left, right, probability) == 1.6 / 2.2


@given(st.integers(0, 2**32 - 1))
@example(87)  # an unlikely pair of a member and of one who is in no component
@settings(max_examples=60, deadline=None)
def test_equals_average_linkage_of_each_component_by_itself(seed: int) -> None:
    """Couples, of which no tree is made, and greater components, whose pairs are gathered by sorting."""
    chance = np.random.default_rng(seed)
    profiles = int(chance.integers(2, 14))
    left, right = (side.astype(np.int32) for side in np.triu_indices(profiles, 1))
    kept = chance.permutation(np.flatnonzero(chance.random(len(left)) < chance.random()))
    left, right, probability = left[kept], right[kept], chance.random(len(kept))
    together = chance.integers(-1, profiles // 2 + 1, profiles).astype(np.int32) if seed % 2 else None
    components = loose_components(profiles, left, right, probability, 0.05, 100)

    expected = {frozenset({profile}) for profile in np.flatnonzero(components < 0).tolist()}
    for members in groups(components):
        numbers = sorted(members)
        distance = np.ones((len(numbers), len(numbers)))
        for one, other, likely in zip(left.tolist(), right.tolist(), probability.tolist(), strict=True):
            if {one, other} <= members:
                i, j = numbers.index(one), numbers.index(other)
                distance[i, j] = distance[j, i] = 1 - likely
        for i, j in itertools.combinations(range(len(numbers)), 2):
            if together is not None and together[numbers[i]] == together[numbers[j]] >= 0:
                distance[i, j] = distance[j, i] = 0
        label = fcluster(linkage(distance[np.triu_indices(len(numbers), 1)], "average"), 0.5, "distance")
        expected |= {frozenset(numbers[i] for i in np.flatnonzero(label == name)) for name in set(label.tolist())}
    assert groups(average_clusters(components, left, right, probability, 0.5, together)) == expected
