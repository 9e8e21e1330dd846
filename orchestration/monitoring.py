"""What Dagster watches between runs: failed runs, and sources that nobody has looked at for too long."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterable
from typing import Any

import dagster as dg

from orchestration.runs import failure_of, failure_sentence
from transforms.contracts import SourceContract
from transforms.settings import Settings


def failure_sensor(settings: Settings) -> dg.SensorDefinition:
    """One plain sentence for each failed run, in the log of the daemon: the same that ``watershed run`` prints."""

    @dg.run_failure_sensor(
        name="failed_runs",
        description="Says what failed, where, and how to go on, in the log of the daemon.",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def failed_runs(context: Any) -> None:
        steps, reason = failure_of([*context.get_step_failure_events(), context.failure_event])
        run = context.dagster_run.run_id
        sentence = failure_sentence(run, steps, reason or context.failure_event.message or "", settings)
        # The first stands in the pages with the sensor's tick, the second in the journal of the service.
        context.log.error(sentence)
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()

    return failed_runs


def freshness(sources: Iterable[SourceContract]) -> dg.FreshnessPolicy | None:
    """The strictest of the contracts' agreements: a table cannot be fresher than the last look at its sources.

    It fails where no run has looked for so long; whether the provider has delivered is the check ``fresh``.
    """
    agreed = [source.freshness for source in sources if source.freshness]
    return dg.FreshnessPolicy.time_window(max(min(agreed), dt.timedelta(minutes=1))) if agreed else None
