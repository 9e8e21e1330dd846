"""The contracts of the public datasets, before anything runs."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from transforms.contracts.registry import Contracts, load_contracts
from transforms.contracts.servers.files import FileServer
from transforms.settings import PROJECT_DIR

SOURCES = (
    "comcast_complaints",
    "completejourney_demographics",
    "completejourney_products",
    "completejourney_redemptions",
    "completejourney_transactions",
    "completejourney_visits",
    "ecsi_mobile_survey",
    "fake_1000_profiles",
    "febrl3_profiles",
    "historical_profiles",
    "hokuriku_pings",
    "hotel_reviews",
    "insteval_ratings",
    "online_retail_lines",
    "pwc_calls",
    "retentioneering_events",
    "servicenow_incidents",
    "snowplow_events",
    "technion_calls",
    "uci_bank_contacts",
    "waimai_reviews",
)


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    return load_contracts(PROJECT_DIR / "data_contracts" / "entities", PROJECT_DIR / "tests" / "contracts")


def test_every_contract_passes_the_standard_and_the_linter(contracts: Contracts) -> None:
    assert tuple(sorted(contracts.sources)) == SOURCES


@pytest.mark.real_data
@pytest.mark.parametrize("name", SOURCES)
def test_every_column_of_the_file_is_mapped_or_ignored(contracts: Contracts, data_folder: Path, name: str) -> None:
    source = contracts.sources[name]
    assert isinstance(source.server, FileServer)
    path = data_folder / source.server.path
    if not path.is_file():
        pytest.skip(f"no real data: {data_folder} lacks {source.server.path}; WATERSHED_REAL_DATA names the folder")
    described = duckdb.execute("SELECT name FROM parquet_schema(?) WHERE num_children IS NULL", [str(path)]).fetchall()
    columns = {column for (column,) in described}
    used = set(source.physical_columns)
    ignored = set(source.ignore_columns)
    assert used <= columns, "a mapping reads what the file does not have"
    assert ignored <= columns, "an ignored column that the file does not have"
    assert not used & ignored, "a column that is mapped and ignored"
    assert used | ignored == columns, "a column that would be reported as drift"
