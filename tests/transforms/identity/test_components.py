from __future__ import annotations

import time
from unittest.mock import patch

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from transforms.identity import components as module
from transforms.identity.components import clusters_of_edges, components, connected, first_held, numbered

Pairs = list[tuple[int, int]]


def partition(labels: np.ndarray) -> set[frozenset[int]]:
    groups: dict[int, set[int]] = {}
    for node, label in enumerate(labels.tolist()):
        groups.setdefault(label, set()).add(node)
    return {frozenset(group) for group in groups.values()}


def by_spreading(nodes: int, edges: Pairs) -> set[frozenset[int]]:
    """Components by following neighbours, slowly and plainly."""
    neighbours: dict[int, set[int]] = {node: set() for node in range(nodes)}
    for a, b in edges:
        neighbours[a].add(b)
        neighbours[b].add(a)
    found: set[frozenset[int]] = set()
    for node in range(nodes):
        group, frontier = {node}, [node]
        while frontier:
            fresh = neighbours[frontier.pop()] - group
            group |= fresh
            frontier.extend(fresh)
        found.add(frozenset(group))
    return found


@settings(deadline=None)
@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_components_are_what_spreading_reaches(graph: tuple[int, Pairs]) -> None:
    nodes, edges = graph
    left, right = np.array(edges, dtype=np.int32).reshape(-1, 2).T
    assert partition(connected(nodes, left, right)) == by_spreading(nodes, edges)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_they_are_so_by_several_threads_too(graph: tuple[int, Pairs]) -> None:
    nodes, edges = graph
    left, right = np.array(edges, dtype=np.int32).reshape(-1, 2).T
    with patch.object(module, "_BLOCK", 3), patch.object(module, "_MANY", 2), patch.object(module, "_PROCESSORS", 3):
        assert partition(connected(nodes, left, right)) == by_spreading(nodes, edges)


@pytest.mark.parametrize("edges_per_node", [0.4, 0.6, 3.0])
def test_a_large_graph_has_the_components_that_scipy_finds(edges_per_node: float) -> None:
    """Large enough for threads that write the same array at once."""
    nodes = 1_500_000
    left, right = np.random.default_rng(3).integers(0, nodes, (2, int(nodes * edges_per_node)), dtype=np.int32)
    count, labels = connected_components(coo_array((np.ones(len(left)), (left, right)), (nodes, nodes)))
    found = connected(nodes, left, right)
    assert found.max() + 1 == count
    assert len(np.unique(labels.astype(np.int64) * nodes + found)) == count


def test_no_nodes_have_no_components() -> None:
    nothing = np.empty(0, dtype=np.int32)
    assert len(connected(0, nothing, nothing)) == 0
    assert len(components(np.empty((0, 6), dtype=np.int32), 0)) == 0


def test_an_observation_joins_all_that_it_holds() -> None:
    matrix = np.array([[0, 2, -1], [-1, 3, 4], [-1, -1, 4], [1, -1, -1], [-1, -1, -1]], dtype=np.int32)
    assert partition(components(matrix, 6)) == {frozenset(g) for g in ({0, 2}, {3, 4}, {1}, {5})}
    assert first_held(matrix).tolist() == [0, 3, 4, 1, -1]


def test_a_chain_of_100_000_is_one_component_and_quick() -> None:
    ordered = np.arange(99_999, dtype=np.int32)
    started = time.perf_counter()
    labels = connected(100_000, ordered, ordered + 1)
    assert len(np.unique(labels)) == 1
    assert time.perf_counter() - started < 5  # some milliseconds; neighbour contraction takes minutes


def test_a_hub_of_a_million_is_one_component_and_quick() -> None:
    leaves = np.arange(1, 1_000_001, dtype=np.int32)
    started = time.perf_counter()
    labels = connected(1_000_001, np.zeros_like(leaves), leaves)
    assert len(np.unique(labels)) == 1
    assert time.perf_counter() - started < 10


@settings(deadline=None)
@given(st.lists(st.integers(-(2**62), 2**62) | st.integers(0, 9)), st.sampled_from([1, 3, 64]))
def test_equal_values_have_one_number_even_where_hashes_collide(values: list[int], hash_bits: int) -> None:
    given_values = np.array(values, dtype=np.int64)
    distinct, index = numbered(given_values, hash_bits)
    assert distinct[index].tolist() == values
    assert len(distinct) == len(set(values))


def test_components_of_a_table_of_edges_keep_the_ids_of_their_nodes() -> None:
    with duckdb.connect(":memory:") as connection:
        connection.execute(
            "CREATE TABLE e AS FROM (VALUES (7::BIGINT, -5::BIGINT), (-5, 2305843009213693952), (8, 9)) t(a, b)"
        )
        clusters_of_edges(connection, "e", "a", "b")
        groups = connection.execute("SELECT list_sort(list(node)) FROM clusters GROUP BY cluster ORDER BY 1").fetchall()
    assert groups == [([-5, 7, 1 << 61],), ([8, 9],)]


def test_a_table_without_edges_has_no_components() -> None:
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE e (a BIGINT, b BIGINT)")
        clusters_of_edges(connection, "e", "a", "b")
        assert connection.execute("FROM clusters").fetchall() == []
