"""Dagster's log over connections that stay open holds what Dagster's own would."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from orchestration.event_log import open_instance
from orchestration.pipeline import dagster_home
from transforms.settings import Settings


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return dagster_home(Settings(home=tmp_path))


def _run(instance: dg.DagsterInstance, value: int) -> str:
    @dg.asset(check_specs=[dg.AssetCheckSpec("positive", asset="table")])
    def table() -> dg.MaterializeResult:
        result = dg.AssetCheckResult(passed=value > 0)
        return dg.MaterializeResult(metadata={"value": value}, check_results=[result])

    return dg.materialize([table], instance=instance, raise_on_error=False).run_id


def _seen(instance: dg.DagsterInstance, run: str) -> tuple[list[str], int]:
    """Types of the events of a run, and what the asset's last materialization says."""
    events = [entry.dagster_event for entry in instance.all_logs(run)]
    last = instance.get_latest_materialization_event(dg.AssetKey("table"))
    assert last and last.asset_materialization
    value = last.asset_materialization.metadata["value"].value
    return [event.event_type_value for event in events if event], value  # type: ignore[return-value]


def test_the_pages_read_what_a_run_wrote_while_its_files_are_open(home: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as pages:
        usual, value = _seen(pages, _run(pages, 1))
        assert "ASSET_CHECK_EVALUATION" in usual and value == 1
        with open_instance(home) as instance:
            run = _run(instance, 2)
            assert _seen(instance, run) == _seen(pages, run) == (usual, 2)
            # And the other way round.
            run = _run(pages, 3)
            assert _seen(instance, run) == _seen(pages, run) == (usual, 3)
    assert not list((home / "history" / "runs").glob("*-wal"))


def test_a_run_that_is_forgotten_is_gone(home: Path) -> None:
    with open_instance(home) as instance:
        first, second = _run(instance, 1), _run(instance, 2)
        instance.delete_run(first)
        assert instance.all_logs(first) == []
        assert _seen(instance, second)[1] == 2
    with dg.DagsterInstance.from_config(str(home)) as pages:
        assert [run.run_id for run in pages.get_runs()] == [second]
        assert pages.all_logs(first) == []
