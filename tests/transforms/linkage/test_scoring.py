from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.linkage.scoring import score_clusters

LABELS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abcd")), min_size=1, max_size=30)


@given(LABELS)
def test_scores_are_those_of_counting_by_hand(labels: list[tuple[int, str]]) -> None:
    found, truth = [f for f, _ in labels], [t for _, t in labels]
    score = score_clusters(found, truth)
    indexes = range(len(labels))
    pairs_found = {p for p in combinations(indexes, 2) if found[p[0]] == found[p[1]]}
    pairs_true = {p for p in combinations(indexes, 2) if truth[p[0]] == truth[p[1]]}
    right = len(pairs_found & pairs_true)
    assert score.precision == pytest.approx(right / len(pairs_found) if pairs_found else 1)
    assert score.recall == pytest.approx(right / len(pairs_true) if pairs_true else 1)
    mine = [{j for j in indexes if found[j] == found[i]} for i in indexes]
    theirs = [{j for j in indexes if truth[j] == truth[i]} for i in indexes]
    both = [a & b for a, b in zip(mine, theirs, strict=True)]
    assert score.b3_precision == pytest.approx(
        sum(len(b) / len(m) for b, m in zip(both, mine, strict=True)) / len(both)
    )
    assert score.b3_recall == pytest.approx(sum(len(b) / len(t) for b, t in zip(both, theirs, strict=True)) / len(both))
    clusters, people = set(map(frozenset, mine)), set(map(frozenset, theirs))
    assert score.exact_precision == pytest.approx(len(clusters & people) / len(clusters))
    assert score.exact_recall == pytest.approx(len(clusters & people) / len(people))


def test_a_worked_example() -> None:
    """Truth {1 2 3} {4 5}, found {1 2} {3 4 5}: of 4 pairs found 2 are right, of 4 true ones 2 are found."""
    score = score_clusters([1, 1, 2, 2, 2], ["a", "a", "a", "b", "b"])
    assert (score.precision, score.recall, score.f1) == (0.5, 0.5, 0.5)
    # (1 + 1 + 1/3 + 2/3 + 2/3) / 5 and (2/3 + 2/3 + 1/3 + 1 + 1) / 5
    assert score.b3_precision == pytest.approx(11 / 15)
    assert score.b3_recall == pytest.approx(11 / 15)
    assert (score.exact_precision, score.exact_recall) == (0, 0)


def test_nothing_found_is_no_mistake_and_no_recall() -> None:
    score = score_clusters([1, 2, 3], ["a", "a", "b"])
    assert (score.precision, score.recall, score.f1) == (1, 0, 0)


def test_labels_of_other_records_are_refused() -> None:
    with pytest.raises(ValueError, match="2 records have a found cluster and 1 a true one"):
        score_clusters([1, 2], [1])
