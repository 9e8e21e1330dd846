"""The grid of segments is complete: no pair of scores is left without a segment."""

from __future__ import annotations

import csv
from itertools import product

from tests.dbt_project.project import DBT_PROJECT


def test_every_cell_of_the_grid_has_exactly_one_segment():
    with (DBT_PROJECT / "seeds" / "rfm_segment_grid.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    cells = [(int(row["r_score"]), int(row["fm_score"])) for row in rows]
    assert sorted(cells) == list(product(range(1, 6), repeat=2))
    assert all(row["segment"] for row in rows)
