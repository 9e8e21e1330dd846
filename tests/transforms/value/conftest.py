"""The CDNOW sample of the papers, and the folder of public datasets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.conftest import REAL_DATA
from transforms.value.sample import Floats, Sample, sample_of


@dataclass(frozen=True)
class Papers:
    """The 2,357 customers of the papers at 1997-09-30 in weeks, and their purchase days in the 39 weeks after."""

    x: Floats
    tx: Floats
    t: Floats
    later: Floats

    @property
    def sample(self) -> Sample:
        """As a sample."""
        return sample_of(self.x, self.tx, self.t)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    if not (REAL_DATA / "cdnow").is_dir():
        pytest.skip(f"no real data: {REAL_DATA} lacks cdnow; WATERSHED_REAL_DATA names the folder")
    return REAL_DATA


@pytest.fixture(scope="session")
def papers(data_folder: Path) -> Papers:
    days = pl.read_parquet(data_folder / "cdnow" / "cdnow_sample.parquet").select("customer_id", "date").unique()
    cut = pl.date(1997, 9, 30)
    known = pl.col("date").filter(pl.col("date") <= cut)
    rows = (
        days.group_by("customer_id")
        .agg(
            x=(known.len() - 1),
            tx=(known.max() - known.min()).dt.total_days() / 7,
            t=(cut - known.min()).dt.total_days() / 7,
            later=(pl.col("date") > cut).sum(),
        )
        .sort("customer_id")
    )
    return Papers(*(rows[name].cast(pl.Float64).to_numpy() for name in ("x", "tx", "t", "later")))


def array(*values: float) -> Floats:
    """Numbers as an array."""
    return np.array(values, dtype=np.float64)
