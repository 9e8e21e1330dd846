"""Who must stay apart does, on every graph and over every path; and values that change hands, on every history."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.identity.apart import NEVER, Apart, Marked
from transforms.identity.components import Nodes
from transforms.identity.guard import guarded_clusters
from transforms.identity.limits import Guarded, Limits
from transforms.identity.links import Edges, Ends, join_linked
from transforms.identity.tenures import Days, seen_alone, split

from .test_guard import TYPES, graphs, groups, strict

NO_LIMITS = strict(per_customer=99, shared=99, total=9999)


@st.composite
def kept_apart(draw: st.DrawFn) -> tuple[Nodes, np.ndarray, Apart, list[tuple[tuple[str, int], tuple[str, int]]]]:
    """A graph, and pairs of its observations and identifiers that must not meet."""
    matrix, levels = draw(graphs())
    thing = st.one_of(
        st.tuples(st.just("row"), st.integers(0, len(matrix) - 1)),
        st.tuples(st.just("node"), st.integers(0, len(levels) - 1)),
    )
    pairs = draw(st.lists(st.tuples(thing, thing).filter(lambda pair: pair[0] != pair[1]), min_size=1, max_size=4))
    marks = [(side, 2 * k + place) for k, pair in enumerate(pairs) for place, side in enumerate(pair)]
    apart = Apart(
        Marked.of((at, mark) for (kind, at), mark in marks if kind == "row"),
        Marked.of((at, mark) for (kind, at), mark in marks if kind == "node"),
    )
    return matrix, levels, apart, pairs


def cluster_of(guarded: Guarded, thing: tuple[str, int]) -> int:
    kind, at = thing
    return int(guarded.row_cluster[at] if kind == "row" else guarded.cluster[at])


@settings(deadline=None, max_examples=150)
@given(case=kept_apart(), data=st.data())
def test_a_pair_that_must_stay_apart_never_meets(case, data: st.DataObject) -> None:
    matrix, levels, apart, pairs = case
    guarded = guarded_clusters(matrix, levels, NO_LIMITS, apart=apart)
    ends = st.integers(0, len(matrix) - 1)
    links = data.draw(st.lists(st.tuples(ends, ends, st.booleans()), max_size=6))
    none = np.full(len(links), -1)
    edges = Edges(
        Ends(np.array([a for a, _, _ in links], dtype=np.int64), none),
        Ends(np.array([b for _, b, _ in links], dtype=np.int64), none),
        np.array([forced for *_, forced in links], dtype=bool),
    )
    for linked in (False, True):
        if linked:
            refused = join_linked(edges, guarded, levels, Limits.of(NO_LIMITS), apart)
            assert set(refused) <= {None, NEVER}
            assert all(
                (guarded.row_cluster[a] == guarded.row_cluster[b]) == (why is None)
                for (a, b, _), why in zip(links, refused, strict=True)
                if why is None
            )
        for left, right in pairs:
            assert cluster_of(guarded, left) < 0 or cluster_of(guarded, left) != cluster_of(guarded, right)


@settings(deadline=None, max_examples=60)
@given(case=kept_apart(), data=st.data())
def test_the_order_of_observations_decides_nothing_about_who_is_kept_apart(case, data: st.DataObject) -> None:
    matrix, levels, apart, _ = case
    order = np.array(data.draw(st.permutations(range(len(matrix)))), dtype=np.int64)
    back = np.argsort(order)
    moved = Apart(Marked(back[apart.rows.things], apart.rows.marks), apart.nodes)
    one = guarded_clusters(matrix, levels, NO_LIMITS, apart=apart)
    other = guarded_clusters(matrix[order], levels, NO_LIMITS, apart=moved)
    assert groups(one) == groups(other)


@settings(deadline=None, max_examples=60)
@given(graph=graphs())
def test_pairs_that_never_meet_anyway_change_nothing(graph: tuple[Nodes, np.ndarray]) -> None:
    matrix, levels = graph
    plain = guarded_clusters(matrix, levels, NO_LIMITS)
    alone = np.concatenate([matrix, np.full((1, TYPES), -1, dtype=np.int32)])
    apart = Apart(Marked.of([(len(matrix), 0)]), Marked.of([(0, 1)]))
    assert groups(guarded_clusters(alone, levels, NO_LIMITS, apart=apart)) == groups(plain)


@settings(deadline=None, max_examples=150)
@given(
    rows=st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 300), st.integers(0, 40)), min_size=1, max_size=14),
    data=st.data(),
)
def test_a_value_changes_hands_only_over_a_pause_and_between_customers_who_share_nothing(rows, data) -> None:
    """``rows``: customer (or none), first day and length of stay of each observation of one value."""
    rows = data.draw(st.permutations(rows))
    customers = np.array([c for c, _, _ in rows], dtype=np.int64)
    days = Days(*(np.array(days) for days in zip(*((d, d + more) for _, d, more in rows), strict=True)))
    column, tenures, nobodys = split(np.zeros(len(rows), dtype=np.int32), customers, days, idle_days=60, next_node=10)
    assert set(column[nobodys].tolist()) <= {-1} and all(customers[nobodys] < 0)
    owners = {t.own: {int(c) for c in customers[column == t.own] if c >= 0} for t in tenures}
    assert all(n == 1 for n in Counter(c for own in owners.values() for c in own).values())
    assert len(tenures) != 1 and (not tenures or set(column.tolist()) <= {*owners, -1})
    for before, after in pairwise(tenures):
        assert after.first_day - before.last_day > 60
    for row, own in enumerate(column.tolist()):
        tenure = next((t for t in tenures if t.own == own), None)
        assert tenure is None or tenure.first_day <= days.first[row] <= days.last[row] <= tenure.last_day


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(-1, 2), st.integers(-1, 2), st.integers(0, 60), st.integers(0, 6)),
        min_size=1,
        max_size=20,
    ),
    st.integers(1, 12),
)
def test_who_is_seen_alone_is_told_by_the_days_of_the_owners(
    rows: list[tuple[int, int, int, int]], alone_days: int
) -> None:
    """Against the definition, walked value by value and pause by pause."""
    value, owner, first, length = (np.array(column) for column in zip(*rows, strict=True))
    last = first + length
    expected: list[int] = []
    for one in {v for v in value.tolist() if v >= 0}:
        held = sorted((row for row in range(len(rows)) if value[row] == one), key=lambda row: (first[row], last[row]))
        if all(owner[held] < 0):
            continue
        stays: list[list[int]] = []
        for row in held:
            if stays and first[row] - max(last[r] for stay in stays for r in stay) <= alone_days:
                stays[-1].append(row)
            else:
                stays.append([row])
        for number, stay in enumerate(stays):
            before = [owner[row] for earlier in stays[:number] for row in earlier if owner[row] >= 0]
            after = [owner[row] for later in stays[number + 1 :] for row in later if owner[row] >= 0]
            was_away = before and after and before[-1] == after[0]
            is_parted = all(owner[stay] < 0) and not was_away
            for row in (row for row in stay if owner[row] < 0):
                known = [first[o] for o in range(len(rows)) if owner[o] >= 0 and owner[o] in owner[held]]
                if is_parted or min(known) - first[row] > alone_days:
                    expected.append(row)
    assert seen_alone(value.astype(np.int32), owner, Days(first, last), alone_days).tolist() == sorted(expected)
