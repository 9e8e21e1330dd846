"""What Dagster says between runs."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from orchestration.monitoring import failure_sensor
from transforms.settings import Settings


def test_a_failed_run_of_the_daemon_says_the_same_as_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @dg.asset
    def identity() -> None:
        raise dg.Failure("the lake is empty")

    with dg.DagsterInstance.ephemeral() as instance:
        job = dg.Definitions(assets=[identity], jobs=[dg.define_asset_job("daily")]).resolve_job_def("daily")
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        settings = Settings(home=tmp_path)
        context = dg.build_run_status_sensor_context(
            sensor_name="failed_runs",
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            dagster_event=result.get_run_failure_event(),
        ).for_run_failure()
        capsys.readouterr()
        failure_sensor(settings)(context)
    said = [text for text in capsys.readouterr().err.splitlines() if text.startswith("The run ")]
    assert said == [
        f"The run {result.run_id} failed at identity: the lake is empty. {settings.published} is as it was; mend the"
        " cause and run again: what was done is not done twice. See docs/operations.md, and `watershed status`."
    ]
