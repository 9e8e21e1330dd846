"""The last steps of a run: what may be published, and what a person is told when they fail."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import pytest

from orchestration.pipeline import run_daily
from orchestration.publication import PUBLISHED, REPORT
from orchestration.runs import failure_sentence
from tests.transforms.lake.shop import Shop, csv_file, line
from transforms.lake.records import RECORD
from transforms.publishing import PublicationError, checked_build
from transforms.settings import Settings


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([REPORT.to_python_identifier()], "customer360.duckdb is the new one all the same;"),
        ([PUBLISHED.to_python_identifier()], "customer360.duckdb is as it was;"),
        ([PUBLISHED.to_python_identifier(), REPORT.to_python_identifier()], "customer360.duckdb is as it was;"),
        ([], "customer360.duckdb is as it was;"),
    ],
)
def test_a_failed_run_says_what_readers_have(tmp_path: Path, steps: list[str], said: str) -> None:
    assert said in failure_sentence("r1", steps, "why", Settings(home=tmp_path))


@pytest.mark.slow
def test_a_build_whose_checks_failed_has_no_back_door(tmp_path: Path) -> None:
    """A row of the audit names no entity: a test of dbt fails, though the table itself is built."""
    shop = Shop(tmp_path)
    shop.deliver(csv_file(*(line(str(number)) for number in range(20))))
    (record,) = shop.load().records
    (path,) = shop.settings.lake.glob(f"*/*/{record.batch_id}*/{RECORD}")
    pl.read_parquet(path).with_columns(entity=pl.lit(None, pl.String)).write_parquet(path)

    outcome = run_daily(shop.settings)

    assert not outcome.success
    assert [name for name in outcome.failed_checks if name.startswith("marts/load_audit: complete_load_audit")]
    with duckdb.connect(str(shop.settings.warehouse), read_only=True) as connection:
        assert connection.execute("SELECT rows_read FROM marts.load_audit").fetchone() == (20,)
    assert not shop.settings.published.exists()
    with pytest.raises(PublicationError, match="has not passed its checks"):
        checked_build(shop.settings)
