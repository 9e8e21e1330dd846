"""The labelled sets reach the figures of the best known way, by the defaults, without a look at the labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .linkage_sets import SETS, link, load, model_of

pytestmark = [pytest.mark.real_data, pytest.mark.slow]

# Pairs F1 and B³ that must be reached: the best known figures for Splink over these sets.
REQUIRED = {"fake_1000": (0.916, 0.938), "febrl3": (0.9994, 0.9994), "historical_50k": (0.867, 0.886)}


@pytest.mark.parametrize("name", SETS)
def test_a_labelled_set_reaches_its_figures(name: str, data_folder: Path, tmp_path: Path) -> None:
    if not (data_folder / SETS[name].path).is_file():
        pytest.skip(f"no real data: {data_folder} lacks {SETS[name].path}; WATERSHED_REAL_DATA names the folder")
    linked = link(name, data_folder, load(name, data_folder, tmp_path / "home"))
    f1, b3 = REQUIRED[name]
    assert linked.score.f1 >= f1
    assert linked.score.b3_f1 >= b3
    assert linked.report.links > 0
    assert not {"truth", "cluster", "true_id"} & set(model_of(linked.settings))
    shutil.rmtree(tmp_path / "home")
