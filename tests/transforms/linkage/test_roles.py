"""Cheap conditions before dear ones change no level."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.linkage.roles import ROLES, Level

SLOW = {
    "one character differs": 1,
    "one digit differs": 1,
    "two characters differ": 2,
    "two characters differ at most": 2,
    "two digits differ": 2,
}
EDITS = [(role.name, level) for role in ROLES for level in role.levels if "damerau_levenshtein" in level.condition]


@pytest.mark.parametrize(("column", "level"), EDITS, ids=lambda value: getattr(value, "label", value))
def test_a_level_of_edits_holds_the_pairs_that_the_slow_count_says(column: str, level: Level) -> None:
    """Few letters, of one to four bytes, so that pairs are near each other; and exchanged neighbours."""
    letters = st.text(st.sampled_from("ab1é張😀"), max_size=7)
    near = st.tuples(letters, st.integers(0, 6), letters).map(
        lambda drawn: (drawn[0] + drawn[2], drawn[0][: drawn[1]] + drawn[0][drawn[1] :][1::-1] + drawn[2])
    )
    with duckdb.connect() as connection:

        @given(st.lists(st.one_of(st.tuples(letters, letters), near), min_size=1, max_size=30))
        @settings(max_examples=40, deadline=None)
        def is_same(pairs: list[tuple[str, str]]) -> None:
            rows = connection.execute(
                f"SELECT {column}_l, {column}_r, CASE WHEN {level.condition} THEN 1 ELSE 0 END,"
                f" CASE WHEN damerau_levenshtein({column}_l, {column}_r) <= {SLOW[level.label]} THEN 1 ELSE 0 END"
                f" FROM (SELECT unnest($left) AS {column}_l, unnest($right) AS {column}_r)",
                {"left": [left for left, _ in pairs], "right": [right for _, right in pairs]},
            ).fetchall()
            assert [row for row in rows if row[2] != row[3]] == []

        is_same()
