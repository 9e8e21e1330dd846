"""The page on onboarding, done as it says."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import duckdb
import pytest

from tests.conftest import PROJECT
from transforms.contracts import load_contracts
from transforms.lake.load import load_source
from transforms.settings import Settings


@pytest.fixture
def blocks() -> dict[str, str]:
    page = (PROJECT / "docs" / "onboarding.md").read_text(encoding="utf-8")
    return dict(re.findall(r"```(csv|yaml)\n(.*?)```", page, flags=re.S))


def test_one_yaml_file_brings_a_dataset_in(tmp_path: Path, blocks: dict[str, str]) -> None:
    settings = Settings(home=tmp_path / "home", contracts=tmp_path / "contracts")
    settings.contracts.mkdir()
    (settings.contracts / "bookshop.odcs.yaml").write_text(blocks["yaml"], encoding="utf-8")
    folder = settings.incoming / "bookshop"
    folder.mkdir(parents=True)
    (folder / "2025-03.csv").write_text(blocks["csv"], encoding="utf-8")
    contract = load_contracts(settings.entities, settings.contracts).sources["bookshop"]
    report = load_source(settings, contract)
    assert (report.total("rows_read"), report.total("rows_accepted"), report.total("rows_quarantined")) == (3, 2, 1)
    assert report.reasons == {"type:gross_amount": 1}
    assert contract.freshness == dt.timedelta(days=35)
    lake = settings.lake / "transactions" / "bookshop" / "*" / "accepted.parquet"
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT order_id, CAST(ordered_at AS VARCHAR), CAST(gross_amount AS VARCHAR), loyalty_id, currency"
            f" FROM '{lake}' ORDER BY line_id"
        ).fetchall()
    moment = "2025-03-14 08:12:00"
    assert rows == [
        ("B-1", moment, "12.50", "bookshop:4711", "EUR"),
        ("B-1", moment, "20.00", "bookshop:4711", "EUR"),
    ]
