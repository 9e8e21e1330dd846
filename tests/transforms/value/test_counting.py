"""Counts of days by age that lie packed in few sums are those that plain filters give."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.value.counting import counts_by_age

BOUND = st.integers(0, 40)
RANGE = st.tuples(BOUND, st.one_of(st.none(), BOUND))


@given(st.lists(RANGE, min_size=1, max_size=7), st.lists(st.integers(0, 50), max_size=60), st.integers(0, 8))
@settings(max_examples=60, deadline=None)
def test_packed_counts_are_the_counts(bounds, ages, spare) -> None:
    """``spare`` bits more for each count spread the classes over one sum or many."""
    ranges = {f"r{place}": one for place, one in enumerate(bounds)}
    sums, counts = counts_by_age(ranges, max(len(ages), 1) << spare)
    rows = ", ".join(f"({age})" for age in ages) or "(NULL)"
    with duckdb.connect() as connection:
        told = connection.execute(
            f"""SELECT {", ".join(counts.values())} FROM (
                SELECT {", ".join(f"coalesce({one}, 0) AS {name}" for name, one in sums.items())}
                FROM (VALUES {rows}) AS days(age) WHERE age IS NOT NULL)"""
        ).fetchall()
    expected = [sum(low <= age and (high is None or age < high) for age in ages) for low, high in bounds]
    assert list(told[0]) == expected


def test_as_many_rows_as_a_sum_can_hold_are_counted_exactly() -> None:
    sums, counts = counts_by_age({"young": (0, 5), "old": (5, None)}, 60_000_000)
    (packed,) = sums.values()
    query = f"SELECT {{}} FROM (SELECT {packed} AS packed_0 FROM (SELECT unnest([1, 9, 9]) AS age), range(1000000))"
    with duckdb.connect() as connection:
        told = connection.execute(query.format(f"{counts['young']}, {counts['old']}")).fetchall()
    assert told == [(1_000_000, 2_000_000)]


def test_more_rows_than_that_are_refused() -> None:
    with pytest.raises(ValueError, match="more than the 52 bits"):
        counts_by_age({"all": (0, None)}, 1 << 53)
