from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.identity.hubs import contest_hubs
from transforms.identity.limits import Guarded, Limits

NAMES = ("a", "b", "c", "d")
VALUES = 4


@st.composite
def observations(draw: st.DrawFn) -> np.ndarray:
    entry = st.integers(-1, VALUES - 1)
    rows = draw(st.lists(st.tuples(*[entry] * len(NAMES)), min_size=1, max_size=40))
    matrix = np.array(rows, dtype=np.int32)
    return matrix + np.where(matrix >= 0, np.arange(len(NAMES), dtype=np.int32) * VALUES, 0)


def counted_by_hand(matrix: np.ndarray, shared: np.ndarray) -> set[int]:
    """Hubs by sets: neighbours of a weaker type, and those behind neighbours that are not shared themselves."""

    def beside(value: int, level: int) -> set[int]:
        rows = matrix[(matrix == value).any(axis=1)]
        return {int(other) for other in rows[:, level] if other >= 0}

    hubs: set[int] = set()
    for value in {int(v) for v in matrix.ravel() if v >= 0}:
        level = value // VALUES
        for weaker in range(level + 1, len(NAMES)):
            limit = shared[level, weaker]
            if not limit:
                continue
            reached = beside(value, weaker)
            for between in range(weaker + 1, len(NAMES)):
                for road in beside(value, between):
                    if shared[between, weaker] and len(beside(road, weaker)) <= shared[between, weaker]:
                        reached |= beside(road, weaker)
            if len(reached) > limit:
                hubs.add(value)
    return hubs


limits = st.lists(st.integers(0, 3), min_size=16, max_size=16).map(lambda n: np.array(n, dtype=np.int64).reshape(4, 4))


@settings(deadline=None, max_examples=200)
@given(matrix=observations(), shared=limits)
def test_hubs_are_those_that_counting_by_hand_finds(matrix: np.ndarray, shared: np.ndarray) -> None:
    outcome, left = Guarded.empty(len(NAMES) * VALUES), matrix.copy()
    never = np.zeros(4, np.int64)
    contest_hubs(left, Limits(NAMES, np.full(4, 9), 99, shared, never, never, np.full(4, 9), never), outcome)
    hubs = counted_by_hand(matrix, shared)
    assert set(np.flatnonzero(outcome.reason >= 0).tolist()) == hubs
    assert np.array_equal(left, np.where(np.isin(matrix, list(hubs)), -1, matrix))
