"""The guard on bare graphs. Its rules on named customers are in test_shared_values.py."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.identity.components import Nodes
from transforms.identity.guard import guarded_clusters
from transforms.identity.limits import Guarded
from transforms.identity.policy import Policy, load_policy

DEFAULT = load_policy()
TYPES = len(DEFAULT.levels)
EMAIL, PHONE, DEVICE = (DEFAULT.levels.index(kind) for kind in ("email", "phone", "device_id"))


def strict(per_customer: int = 2, shared: int = 2, total: int = 8) -> Policy:
    """A policy whose limits small graphs reach."""
    types = {
        kind: {
            "tier": level + 1,
            "per_customer": per_customer,
            "shared_beyond": {other: shared for other in DEFAULT.levels if other != kind},
        }
        for level, kind in enumerate(DEFAULT.levels)
    }
    return Policy.model_validate({"version": 1, "identifiers_per_customer": total, "types": types})


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Nodes, np.ndarray]:
    """Observations over a few identifiers of each type, dense enough to break limits."""
    of_type = draw(st.integers(1, 6))
    rows = draw(
        st.lists(
            st.tuples(*[st.one_of(st.just(-1), st.just(-1), st.integers(0, of_type - 1))] * TYPES),
            min_size=1,
            max_size=40,
        )
    )
    matrix = np.array(rows, dtype=np.int32)
    matrix += np.where(matrix >= 0, np.arange(TYPES, dtype=np.int32) * of_type, 0)
    return matrix, np.repeat(np.arange(TYPES), of_type)


def groups(guarded: Guarded) -> set[frozenset[int]]:
    found: dict[int, set[int]] = {}
    for node, cluster in enumerate(guarded.cluster.tolist()):
        if cluster >= 0:
            found.setdefault(cluster, set()).add(node)
    return {frozenset(group) for group in found.values()}


@settings(deadline=None, max_examples=150)
@given(graph=graphs(), data=st.data())
def test_the_order_of_observations_does_not_matter(graph: tuple[Nodes, np.ndarray], data: st.DataObject) -> None:
    matrix, levels = graph
    order = data.draw(st.permutations(range(len(matrix))))
    one, other = (guarded_clusters(m, levels, strict()) for m in (matrix, matrix[order]))
    assert groups(one) == groups(other)
    assert [one.reasons[i] if i >= 0 else "" for i in one.reason] == [
        other.reasons[i] if i >= 0 else "" for i in other.reason
    ]


@settings(deadline=None, max_examples=150)
@given(graph=graphs())
def test_a_repeated_observation_is_no_news(graph: tuple[Nodes, np.ndarray]) -> None:
    matrix, levels = graph
    once = guarded_clusters(matrix, levels, strict())
    twice = guarded_clusters(np.concatenate([matrix, matrix]), levels, strict())
    assert groups(once) == groups(twice)


@settings(deadline=None, max_examples=150)
@given(graph=graphs())
def test_customers_are_the_components_of_what_is_not_contested(graph: tuple[Nodes, np.ndarray]) -> None:
    matrix, levels = graph
    guarded = guarded_clusters(matrix, levels, strict())
    contested = np.append(guarded.reason >= 0, False)[matrix]
    neighbours: dict[int, set[int]] = {}
    for row in np.where(contested, -1, matrix):
        held = {int(node) for node in row if node >= 0}
        for node in held:
            neighbours.setdefault(node, set()).update(held)
    expected: set[frozenset[int]] = set()
    for node in neighbours:
        group, frontier = {node}, [node]
        while frontier:
            fresh = neighbours[frontier.pop()] - group
            group |= fresh
            frontier.extend(fresh)
        expected.add(frozenset(group))
    assert groups(guarded) == expected


@settings(deadline=None, max_examples=150)
@given(graph=graphs())
def test_no_value_joins_more_customers_than_its_limit(graph: tuple[Nodes, np.ndarray]) -> None:
    """Whoever is one customer without a value and its weaker types counts once; see the head of the policy."""
    matrix, levels = graph
    guarded = guarded_clusters(matrix, levels, strict())
    for level in range(1, TYPES):
        stronger = matrix.copy()
        stronger[:, level:] = -1
        stronger[np.append(guarded.reason >= 0, False)[stronger]] = -1
        before = guarded_clusters(stronger, levels, strict(per_customer=99, shared=99, total=999)).cluster
        for node in np.flatnonzero((levels == level) & (guarded.cluster >= 0)):
            touched = stronger[matrix[:, level] == node]
            for kind in range(level):
                assert len({before[n] for n in touched[:, kind] if n >= 0}) <= 2


@settings(deadline=None, max_examples=150)
@given(graph=graphs())
def test_every_merge_keeps_within_the_limits(graph: tuple[Nodes, np.ndarray]) -> None:
    """A customer holds more of a type than the limit only by values that belong to nobody else."""
    matrix, levels = graph
    guarded = guarded_clusters(matrix, levels, strict())
    for group in groups(guarded):
        counts = Counter(int(levels[node]) for node in group)
        strongest = min(counts)
        assert counts[strongest] <= 2, "values of a customer's strongest type have only merges to meet by"


def test_small_clean_customers_are_not_touched() -> None:
    matrix = np.array([[0, 1, 2, 3, 4, 5], [-1, -1, 2, -1, -1, 6]], dtype=np.int32)
    guarded = guarded_clusters(matrix, np.array([0, 1, 2, 3, 4, 5, 5]), DEFAULT)
    assert groups(guarded) == {frozenset(range(7))}
    assert guarded.reasons == []


def test_nothing_gives_nothing() -> None:
    guarded = guarded_clusters(np.empty((0, TYPES), dtype=np.int32), np.empty(0, dtype=np.int8), DEFAULT)
    assert len(guarded.cluster) == 0


@pytest.mark.parametrize("links", [100_000])
def test_a_chain_falls_into_customers_within_the_limits(links: int) -> None:
    """E-mail, telephone, e-mail, telephone …, each seen with the next: the shape of a data set joined badly."""
    step = np.arange(links - 1, dtype=np.int32)
    matrix = np.full((links - 1, TYPES), -1, dtype=np.int32)
    matrix[:, EMAIL], matrix[:, PHONE] = (step + 1) // 2, links // 2 + step // 2
    levels = np.repeat([EMAIL, PHONE], links // 2)
    started = time.perf_counter()
    guarded = guarded_clusters(matrix, levels, DEFAULT)
    assert time.perf_counter() - started < 20  # under a second when the machine is idle
    sizes = Counter(guarded.cluster[guarded.cluster >= 0].tolist())
    assert max(sizes.values()) <= 12
    assert guarded.refused_merges == (guarded.reason >= 0).sum() > 0


def test_a_hub_is_contested_and_its_leaves_stay_apart() -> None:
    """One address beside 200,000 telephones: the call centre's own."""
    leaves = np.arange(1, 200_001, dtype=np.int32)
    matrix = np.full((len(leaves), TYPES), -1, dtype=np.int32)
    matrix[:, EMAIL], matrix[:, PHONE] = 0, leaves
    levels = np.r_[EMAIL, np.full(len(leaves), PHONE)]
    started = time.perf_counter()
    guarded = guarded_clusters(matrix, levels, DEFAULT)
    assert time.perf_counter() - started < 10
    assert guarded.cluster[0] == -1
    assert len(np.unique(guarded.cluster[1:])) == len(leaves)


def test_what_each_side_has_of_its_own_counts_towards_the_merge() -> None:
    """Two addresses with a telephone each, and one telephone in common: three in all, where two are allowed."""
    matrix = np.full((4, TYPES), -1, dtype=np.int32)
    matrix[:, EMAIL], matrix[:, PHONE] = [0, 1, 0, 1], [2, 3, 4, 4]
    levels = np.array([EMAIL, EMAIL, PHONE, PHONE, PHONE])
    assert groups(guarded_clusters(matrix, levels, strict(per_customer=3))) == {frozenset(range(5))}
    guarded = guarded_clusters(matrix, levels, strict(per_customer=2))
    assert groups(guarded) == {frozenset({0, 2}), frozenset({1, 3})}
    assert guarded.refused_merges == 1


def test_a_customer_may_grow_by_values_of_its_own() -> None:
    """A browser that forgets its cookie every day is one customer, not a hundred and not contested."""
    devices = np.arange(1, 301, dtype=np.int32)
    matrix = np.full((len(devices), TYPES), -1, dtype=np.int32)
    matrix[:, EMAIL], matrix[:, DEVICE] = 0, devices
    guarded = guarded_clusters(matrix, np.r_[EMAIL, np.full(len(devices), DEVICE)], DEFAULT)
    assert groups(guarded) == {frozenset(range(301))}
