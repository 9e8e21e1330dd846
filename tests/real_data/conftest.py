"""Homes on real data: five contracts through the whole platform at two moments, each contract through the gate."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

from tests.conftest import REAL_DATA
from transforms.contracts import load_contracts
from transforms.contracts.servers.files import FileServer
from transforms.identity.store import IdentityStore
from transforms.lake.load import LoadReport, load_source
from transforms.settings import PROJECT_DIR, Settings

from .comparing import RETAIL, one_to_one
from .oracles import completejourney

if TYPE_CHECKING:
    from orchestration.pipeline import RunOutcome

CONTRACTS = PROJECT_DIR / "tests" / "contracts"
DATASETS = ("completejourney", "hokuriku_wifi", "snowplow_web", "technion_calls")
# Sources that go through the whole platform, three times; the others stop behind the gate.
WHOLE_RUN = (
    "completejourney_transactions",
    "completejourney_visits",
    "hokuriku_pings",
    "snowplow_events",
    "technion_calls",
)
# The grocery panel lives by New York time: a zone with summer time, in which business days differ from days in UTC.
BUSINESS_ZONE = "America/New_York"
# After the last record of every dataset, so that everything counts.
AFTER_EVERYTHING = dt.date(2024, 12, 31)
# Nobody has bought for years, or a plain rule forecasts better than every model: no fault of the run.
UNPREDICTABLE = "value/model_runs: fit_is_sound"
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


@dataclass(frozen=True)
class Gated:
    """What the gate made of a dataset: the account, the accepted rows, the refused ones with their reasons."""

    report: LoadReport
    accepted: pl.DataFrame
    refused: pl.DataFrame

    @property
    def account(self) -> tuple[int, int, int, int]:
        """Rows read, accepted, quarantined, repeated."""
        return (
            self.report.total("rows_read"),
            self.report.total("rows_accepted"),
            self.report.total("rows_quarantined"),
            self.report.total("rows_duplicate"),
        )


def run_everything(settings: Settings) -> RunOutcome:
    """Pull, gate, build, identify, value, check, publish."""
    # Dagster takes seconds to import, which only those who run the whole platform should wait for.
    from orchestration.pipeline import run_daily

    return run_daily(settings)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Where the public datasets lie, if anywhere."""
    return REAL_DATA


@pytest.fixture(scope="session")
def real_data(data_folder: Path) -> Path:
    """Folder of the public datasets that go through the whole platform."""
    missing = [name for name in DATASETS if not (data_folder / name).is_dir()]
    if missing:
        pytest.skip(f"no real data: {data_folder} lacks {', '.join(missing)}; WATERSHED_REAL_DATA names the folder")
    return data_folder


@pytest.fixture(scope="session")
def raw(data_folder: Path) -> Callable[[str], pl.DataFrame]:
    """The rows of a file as published, by its path in the folder of the datasets; skips where it is missing."""

    @cache
    def read(path: str) -> pl.DataFrame:
        if not (data_folder / path).is_file():
            pytest.skip(f"no real data: {data_folder} lacks {path}; WATERSHED_REAL_DATA names the folder")
        return pl.read_parquet(data_folder / path)

    return read


@pytest.fixture(scope="session")
def gated(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Gated]:
    """What the gate makes of a source; all share a home, and each is loaded when it is first asked for."""
    settings = Settings(
        home=tmp_path_factory.mktemp("datasets") / "home", contracts=CONTRACTS, sources_root=data_folder
    )
    contracts = load_contracts(settings.entities, settings.contracts).sources
    # A fixed moment of arrival: some rules measure against it.
    arrival = dt.datetime.combine(AFTER_EVERYTHING, dt.time(12), dt.UTC)

    @cache
    def load(source: str) -> Gated:
        contract = contracts[source]
        assert isinstance(contract.server, FileServer)
        if not (data_folder / contract.server.path).is_file():
            pytest.skip(f"no real data: {data_folder} lacks {contract.server.path}")
        report = load_source(settings, contract, clock=lambda: arrival)
        entity = settings.lake / contract.entity.name

        def rows(name: str) -> pl.DataFrame:
            # A batch without such rows has no such file.
            return pl.read_parquet([entity / "_none" / "_none" / name, *(entity / source).glob(f"*/{name}")])

        return Gated(report, rows("accepted.parquet"), rows("quarantine.parquet"))

    return load


@pytest.fixture(scope="session")
def lake(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home whose lake holds the datasets of the whole run, nothing built yet."""
    settings = _settings(real_data, tmp_path_factory.mktemp("gate") / "home", AFTER_EVERYTHING)
    for contract in load_contracts(settings.entities, settings.contracts).sources.values():
        load_source(settings, contract)
    return settings


@pytest.fixture(scope="session")
def after_everything(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The platform after one run over all datasets."""
    return _run(_settings(real_data, tmp_path_factory.mktemp("real") / "home", AFTER_EVERYTHING))


@pytest.fixture(scope="session")
def after_retail_year(after_everything: Outcome) -> Outcome:
    """The same home, run again for the last day of the grocery panel."""
    settings = after_everything.settings
    return _run(_settings(settings.incoming, settings.home, END_OF_RETAIL_YEAR))


@pytest.fixture(scope="session")
def back_again(after_everything: Outcome, after_retail_year: Outcome) -> Outcome:
    """The same home once more for the first day, after the run for an earlier one."""
    settings = after_retail_year.settings
    return _run(_settings(settings.incoming, settings.home, AFTER_EVERYTHING))


@pytest.fixture(scope="session")
def every_dataset(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The platform after one run over the datasets of all contracts but the largest of profiles, which goes through
    linkage by itself."""
    contracts = tmp_path_factory.mktemp("all_contracts") / "contracts"
    shutil.copytree(CONTRACTS, contracts, ignore=shutil.ignore_patterns("historical_profiles.*"))
    sources = load_contracts(PROJECT_DIR / "data_contracts" / "entities", contracts).sources.values()
    files = [source.server.path for source in sources if isinstance(source.server, FileServer)]
    missing = [path for path in files if not (data_folder / path).is_file()]
    if missing:
        pytest.skip(f"no real data: {data_folder} lacks {', '.join(missing)}; WATERSHED_REAL_DATA names the folder")
    home = tmp_path_factory.mktemp("all") / "home"
    settings = _settings(data_folder, home, AFTER_EVERYTHING)
    return _run(settings.model_copy(update={"contracts": contracts}))


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


def _run(settings: Settings) -> Outcome:
    home = settings.home
    # From day to day and back, figures jump, and no person confirms: each publication is as the first one.
    settings.published.unlink(missing_ok=True)
    run = run_everything(settings)
    assert run.success, f"failed: {', '.join(run.failed_steps)}"
    kept = home.parent / run.run_id
    kept.mkdir()
    warehouse = Path(shutil.copy(settings.warehouse, kept))
    published = Path(shutil.copy(settings.published, kept))
    assignments = kept / "assignments.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM {IdentityStore(settings).table('assignments')}) TO '{assignments}'")
    return Outcome(settings, run, warehouse, published, assignments)


def _settings(data: Path, home: Path, as_of: dt.date) -> Settings:
    contracts = home.parent / "contracts"
    contracts.mkdir(parents=True, exist_ok=True)
    for name in WHOLE_RUN:
        shutil.copy(CONTRACTS / f"{name}.odcs.yaml", contracts)
    return Settings(home=home, contracts=contracts, sources_root=data, business_timezone=BUSINESS_ZONE, as_of=as_of)
