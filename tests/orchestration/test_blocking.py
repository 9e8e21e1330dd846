"""What must not reach the readers stops the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.pipeline import run_daily
from tests.transforms.lake.shop import Shop, csv_file, line

pytestmark = pytest.mark.slow


def test_a_load_of_mostly_bad_rows_stops_everything_downstream(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.deliver(csv_file(*(line(str(n), kind="gift") for n in range(98)), line("good"), line("better")))
    outcome = run_daily(shop.settings)
    assert not outcome.success
    assert "sources/shop: quarantine_below_limit" in outcome.failed_checks
    assert not shop.settings.published.exists() and not shop.settings.warehouse.exists()
    assert shop.query("SELECT stage, count(*) FROM quarantine GROUP BY ALL ORDER BY ALL") == [("hold", 2), ("rule", 98)]
    again = run_daily(shop.settings)
    assert not again.success, "what is held stays held until somebody has looked at it"


def test_an_empty_lake_publishes_nothing_and_says_so(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    outcome = run_daily(shop.settings)
    assert not outcome.success and outcome.failed_steps == ("identity",)
    assert any(finding.startswith("WARN sources/shop fresh: stale: no file at ") for finding in outcome.findings)
    assert not shop.settings.published.exists()
