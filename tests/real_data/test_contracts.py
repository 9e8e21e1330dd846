"""The contracts of the public datasets, before anything runs."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from transforms.contracts.registry import Contracts, load_contracts
from transforms.settings import PROJECT_DIR

SOURCES = (
    "completejourney_transactions",
    "completejourney_visits",
    "hokuriku_pings",
    "snowplow_events",
    "technion_calls",
)


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    return load_contracts(PROJECT_DIR / "data_contracts" / "entities", PROJECT_DIR / "tests" / "contracts")


def test_every_contract_passes_the_standard_and_the_linter(contracts: Contracts) -> None:
    assert tuple(sorted(contracts.sources)) == SOURCES


@pytest.mark.real_data
@pytest.mark.parametrize("name", SOURCES)
def test_every_column_of_the_file_is_mapped_or_ignored(contracts: Contracts, real_data: Path, name: str) -> None:
    source = contracts.sources[name]
    path = str(real_data / source.server.path)
    described = duckdb.execute("SELECT name FROM parquet_schema(?) WHERE num_children IS NULL", [path]).fetchall()
    columns = {column for (column,) in described}
    used = set(source.physical_columns)
    ignored = set(source.ignore_columns)
    assert used <= columns, "a mapping reads what the file does not have"
    assert ignored <= columns, "an ignored column that the file does not have"
    assert not used & ignored, "a column that is mapped and ignored"
    assert used | ignored == columns, "a column that would be reported as drift"
