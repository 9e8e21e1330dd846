"""The day as a parameter, and days of the past told again."""

from __future__ import annotations

import datetime as dt
import hashlib
import random
import shutil
import signal
import time
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from typer.testing import CliRunner

from orchestration.build import build_definitions
from orchestration.cli import app
from orchestration.days import HISTORY, AsOf, days_between
from orchestration.pipeline import dagster_home, run_backfill, run_daily
from tests.orchestration.conftest import Installation, dbt_of
from transforms.contracts import load_contracts
from transforms.demo import write_company
from transforms.identity.store import IdentityStore
from transforms.lake.as_of import last_day_in_lake
from transforms.publishing import PublicationError, checked_build
from transforms.settings import Settings

DAY = dt.timedelta(days=1)
KILLS = 2


def test_the_day_of_the_run_comes_before_that_of_the_settings(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, as_of=dt.date(2025, 3, 1))
    contracts = load_contracts(settings.entities, settings.contracts)
    assert AsOf(day="2025-02-28").date(settings, contracts) == dt.date(2025, 2, 28)
    assert AsOf().date(settings, contracts) == dt.date(2025, 3, 1)
    assert AsOf().date(Settings(home=tmp_path), contracts) is None
    with pytest.raises(dg.Failure, match="'2025-02-30' is no day; write it as 2025-03-31"):
        AsOf(day="2025-02-30").date(settings, contracts)


def test_a_range_has_both_its_ends_and_is_in_order() -> None:
    assert days_between("2025-02-27", "2025-03-01") == [dt.date(2025, 2, 27), dt.date(2025, 2, 28), dt.date(2025, 3, 1)]
    assert days_between("2025-03-01", "2025-03-01") == [dt.date(2025, 3, 1)]


@pytest.mark.parametrize(
    ("range_", "code", "said"),
    [
        (("2025-03-02", "2025-03-01"), 4, "--from 2025-03-02 lies after --to 2025-03-01"),
        (("2025-02-30", "2025-03-01"), 2, "does not match the format"),
    ],
)
def test_a_range_that_is_none_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, range_: tuple[str, str], code: int, said: str
) -> None:
    monkeypatch.setenv("WATERSHED_HOME", str(tmp_path / "home"))
    result = CliRunner().invoke(app, ["backfill", "--from", range_[0], "--to", range_[1]])
    assert result.exit_code == code and said in " ".join(result.output.split())
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
@pytest.mark.xdist_group("installation")
def test_days_do_not_get_into_the_way_of_schedule_sensor_and_plain_runs(installation: Installation) -> None:
    definitions = build_definitions(installation.settings)
    daily, backfill = definitions.resolve_job_def("daily"), definitions.resolve_job_def("backfill")
    assert daily.partitions_def is None
    assert isinstance(backfill.partitions_def, dg.DailyPartitionsDefinition)
    node = definitions.resolve_asset_graph().get(HISTORY)
    assert node.backfill_policy == dg.BackfillPolicy.single_run()
    assert dg.validate_run_config(daily, {"resources": {"as_of": {"config": {"day": "2025-03-31"}}}})


def latest(settings: Settings) -> dict[str, str]:
    """Segment of each customer, by the lines of the log."""
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        rows = connection.execute(
            "SELECT * FROM (SELECT customer_id, arg_max(coalesce(segment, ''), as_of_date) AS last_segment"
            " FROM intermediate.int_segment_log WHERE customer_id IS NOT NULL GROUP BY ALL) WHERE last_segment <> ''"
        ).fetchall()
    return dict(rows)


@pytest.mark.slow
@pytest.mark.xdist_group("installation")
def test_a_backfill_tells_a_day_as_its_daily_run_did_and_publishes_nothing(
    installation: Installation, tmp_path: Path
) -> None:
    home = shutil.copytree(installation.settings.home, tmp_path / "home", symlinks=True)
    settings = installation.settings.model_copy(update={"home": home})
    contracts = load_contracts(settings.entities, settings.contracts)
    last = last_day_in_lake(settings, contracts)
    assert last
    before, published = latest(settings), hashlib.sha256(settings.published.read_bytes()).hexdigest()
    assert len(before) > 100
    # Killed before, at moments between its first dbt and its last: nobody can tell.
    here, moments = Installation(settings, installation.company, installation.first), random.Random(23)
    for _ in range(KILLS):
        process = here.command("backfill", "--from", str(last - DAY), "--to", str(last))
        dbt_of(process)
        time.sleep(moments.uniform(0, 8))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    outcome = run_backfill(settings, last - DAY, last)
    assert outcome.success, outcome.reason
    assert latest(settings) == before
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        lines = dict(
            connection.execute("SELECT as_of_date, count(*) FROM intermediate.int_segment_log GROUP BY 1").fetchall()
        )
        told = {
            log: connection.execute(f"SELECT DISTINCT as_of_date FROM intermediate.{log} ORDER BY ALL").fetchall()
            for log in ("int_rfm_log", "int_rfm_rule_log", "int_purchase_owner_log")
        }
    # Of the second day the log holds what changed, and the line that says that it was run.
    assert set(lines) == {last - DAY, last} and 1 < lines[last] < 0.2 * lines[last - DAY]
    # What the next run needs to say why a segment changed is told with it.
    assert told == {log: [(last - DAY,), (last,)] for log in told}
    with dg.DagsterInstance.from_config(str(dagster_home(settings))) as instance:
        assert instance.get_materialized_partitions(HISTORY) == {str(last - DAY), str(last)}
    assert hashlib.sha256(settings.published.read_bytes()).hexdigest() == published
    with pytest.raises(PublicationError):
        checked_build(settings)
    store = IdentityStore(settings)
    assert store.remembered == store.current


@pytest.mark.long
def test_a_week_of_daily_runs_leaves_the_same_history_as_one_backfill(tmp_path: Path) -> None:
    """Takes a quarter of an hour: run it after a change of identity, of the log or of the backfill."""
    days = days_between("2025-03-10", "2025-03-16")
    kept: list[Settings] = []
    for name in ("daily", "at once"):
        settings = Settings(home=tmp_path / name, demo_people=1000, identifier_key="the same", as_of=days[-1])  # type: ignore[arg-type]
        write_company(settings)
        kept.append(settings)
    for day in days:
        assert run_daily(kept[0].model_copy(update={"as_of": day})).success
    assert run_backfill(kept[1], days[0], days[-1]).success and run_daily(kept[1]).success
    with duckdb.connect() as connection:
        for name, settings in zip(("daily", "backfill"), kept, strict=True):
            connection.execute(f"ATTACH '{settings.warehouse}' AS {name} (READ_ONLY)")
        for table in ("intermediate.int_segment_log", "marts.segment_history", "marts.customer_journey_history"):
            assert connection.execute(f"SELECT count(*) > 500 FROM daily.{table}").fetchone() == (True,)
            assert (
                connection.execute(
                    f"(FROM daily.{table} EXCEPT ALL FROM backfill.{table}) UNION ALL"
                    f" (FROM backfill.{table} EXCEPT ALL FROM daily.{table})"
                ).fetchall()
                == []
            )
