"""Edges without which a customer falls into two."""

from __future__ import annotations

import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.identity.bridges import smaller_sides

Pairs = list[tuple[int, int]]


def reached(start: int, edges: Pairs) -> set[int]:
    found, frontier = {start}, [start]
    while frontier:
        node = frontier.pop()
        fresh = {b if a == node else a for a, b in edges if node in (a, b)} - found
        found |= fresh
        frontier.extend(fresh)
    return found


def by_removing_each(edges: Pairs) -> list[int]:
    """Take each edge out and look whether its ends still meet."""
    sides: list[int] = []
    for place, (a, b) in enumerate(edges):
        rest = edges[:place] + edges[place + 1 :]
        one, other = reached(a, rest), reached(b, rest)
        sides.append(0 if b in one else min(len(one), len(other)))
    return sides


@settings(deadline=None)
@given(st.integers(1, 14).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_bridges_are_the_edges_whose_removal_parts_their_ends(graph: tuple[int, Pairs]) -> None:
    nodes, edges = graph
    left, right = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    assert smaller_sides(nodes, left, right).tolist() == by_removing_each(edges)


def test_a_chain_of_100_000_is_all_bridges_and_quick() -> None:
    step = np.arange(99_999)
    started = time.perf_counter()
    sides = smaller_sides(100_000, step, step + 1)
    assert time.perf_counter() - started < 15
    assert sides[0] == 1 and sides[49_999] == 50_000 and sides.min() == 1
