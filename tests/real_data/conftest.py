"""One home on real data: all five contracts through the whole platform, at two moments."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

from transforms.contracts import load_contracts
from transforms.lake.load import load_source
from transforms.settings import PROJECT_DIR, Settings

from .comparing import RETAIL, one_to_one
from .oracles import completejourney

if TYPE_CHECKING:
    from orchestration.pipeline import RunOutcome

CONTRACTS = PROJECT_DIR / "tests" / "contracts"
DATASETS = ("completejourney", "hokuriku_wifi", "snowplow_web", "technion_calls")
# The grocery panel lives by New York time: a zone with summer time, in which business days differ from days in UTC.
BUSINESS_ZONE = "America/New_York"
# After the last record of every dataset, so that everything counts.
AFTER_EVERYTHING = dt.date(2024, 12, 31)
# Last day of the grocery panel, so that its customers are in the RFM window.
END_OF_RETAIL_YEAR = dt.date(2017, 12, 31)


@dataclass(frozen=True)
class Outcome:
    """What a run left behind, copied so that a later run cannot change it."""

    settings: Settings
    run: RunOutcome
    warehouse: Path
    published: Path
    assignments: Path

    def built(self, sql: str) -> pl.DataFrame:
        """Query the warehouse; ``assignments`` is the identity run's Parquet file."""
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            connection.register("assignments", pl.read_parquet(self.assignments))
            return connection.sql(sql).pl()

    def read(self, sql: str) -> pl.DataFrame:
        """Query the published file as a reader would."""
        with duckdb.connect(str(self.published), read_only=True) as connection:
            return connection.sql(sql).pl()


def run_everything(settings: Settings) -> RunOutcome:
    """Pull, gate, build, identify, value, check, publish."""
    # Dagster takes seconds to import, which only those who run the whole platform should wait for.
    from orchestration.pipeline import run_daily

    return run_daily(settings)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the public datasets."""
    folder = Path(os.environ.get("WATERSHED_REAL_DATA") or PROJECT_DIR.parent / "shared" / "data")
    missing = [name for name in DATASETS if not (folder / name).is_dir()]
    if missing:
        pytest.skip(f"no real data: {folder} lacks {', '.join(missing)}; WATERSHED_REAL_DATA names the folder")
    return folder


@pytest.fixture(scope="session")
def lake(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home whose lake holds all datasets, nothing built yet."""
    settings = _settings(real_data, tmp_path_factory.mktemp("gate") / "home", AFTER_EVERYTHING)
    for contract in load_contracts(settings.entities, settings.contracts).sources.values():
        load_source(settings, contract)
    return settings


@pytest.fixture(scope="session")
def after_everything(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The platform after one run over all datasets."""
    return _run(real_data, tmp_path_factory.mktemp("real") / "home", AFTER_EVERYTHING)


@pytest.fixture(scope="session")
def after_retail_year(after_everything: Outcome) -> Outcome:
    """The same home, run again for the last day of the grocery panel."""
    settings = after_everything.settings
    return _run(settings.incoming, settings.home, END_OF_RETAIL_YEAR)


@pytest.fixture(scope="session")
def back_again(after_everything: Outcome, after_retail_year: Outcome) -> Outcome:
    """The same home once more for the first day, after the run for an earlier one."""
    settings = after_retail_year.settings
    return _run(settings.incoming, settings.home, AFTER_EVERYTHING)


@pytest.fixture(scope="session")
def receipts(real_data: Path) -> dict[int, completejourney.Receipt]:
    """Receipts of the grocery panel by basket number."""
    return completejourney.receipts(real_data)


@pytest.fixture(scope="session")
def households(after_retail_year: Outcome, receipts: dict[int, completejourney.Receipt]) -> dict[str, int]:
    """Customer id of the second run to household, by the receipts they share."""
    orders = after_retail_year.built(
        f"SELECT DISTINCT customer_id, order_id FROM intermediate.fct_orders WHERE source = '{RETAIL}'"
    )
    pairs = {(customer, receipts[int(order)].household) for customer, order in orders.iter_rows()}
    assert one_to_one(pairs)
    return dict(pairs)


def _run(data: Path, home: Path, as_of: dt.date) -> Outcome:
    settings = Settings(home=home, contracts=CONTRACTS, sources_root=data, business_timezone=BUSINESS_ZONE, as_of=as_of)
    run = run_everything(settings)
    assert run.success, f"failed: {', '.join(run.failed_steps)}"
    kept = home.parent / run.run_id
    kept.mkdir()
    warehouse = Path(shutil.copy(settings.warehouse, kept))
    published = Path(shutil.copy(settings.published, kept))
    assignments = Path(shutil.copy(settings.lake / "identity" / "current" / "assignments.parquet", kept))
    return Outcome(settings, run, warehouse, published, assignments)


def _settings(data: Path, home: Path, as_of: dt.date) -> Settings:
    return Settings(home=home, contracts=CONTRACTS, sources_root=data, business_timezone=BUSINESS_ZONE, as_of=as_of)
