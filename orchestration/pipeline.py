"""A whole run in this very process: for the command line, for cron and for tests."""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from orchestration.automation import BACKFILL, DAILY
from orchestration.build import build_definitions
from orchestration.event_log import open_instance
from orchestration.runs import failure_of
from transforms.locking import LockedError
from transforms.settings import Settings

# Dagster's own names for the range of a single-run backfill.
ASSET_PARTITION_RANGE_START_TAG = "dagster/asset_partition_range_start"
ASSET_PARTITION_RANGE_END_TAG = "dagster/asset_partition_range_end"


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended; ``failed_checks`` name asset and check, ``findings`` say what each of them found.

    ``reason`` is the error of the first failed step, empty where all went well.
    """

    run_id: str
    success: bool
    failed_steps: tuple[str, ...]
    failed_checks: tuple[str, ...]
    findings: tuple[str, ...]
    reason: str = ""


def dagster_home(settings: Settings) -> Path:
    """Folder of the Dagster instance, made with the settings that ship with the platform."""
    folder = settings.home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(__file__).with_name("dagster.yaml"), folder / "dagster.yaml")
    return folder


def run_daily(settings: Settings) -> RunOutcome:
    """Run the daily job once and wait for its end. A failed step does not raise: the outcome names it.

    Raises:
        ContractError: a contract has a fault.
        LockedError: another run held the installation for longer than the settings allow.
    """
    return _run_job(settings, DAILY, {"watershed/started_by": "watershed run"})


def run_backfill(settings: Settings, first: dt.date, last: dt.date) -> RunOutcome:
    """Tell the history tables the days of a range again, in one run, and wait for its end; publishes nothing.

    Raises:
        ContractError: a contract has a fault.
        LockedError: another run held the installation for longer than the settings allow.
    """
    days = {ASSET_PARTITION_RANGE_START_TAG: first.isoformat(), ASSET_PARTITION_RANGE_END_TAG: last.isoformat()}
    return _run_job(settings, BACKFILL, {"watershed/started_by": "watershed backfill", **days})


def _run_job(settings: Settings, name: str, tags: Mapping[str, str]) -> RunOutcome:
    job = build_definitions(settings).resolve_job_def(name)
    # dbt's own lines go to a file: the terminal shows one line per thing done.
    log = settings.home / "dbt" / "terminal.log"
    with (
        open_instance(dagster_home(settings)) as instance,
        log.open("w", encoding="utf-8") as stream,
        contextlib.redirect_stdout(stream),
    ):
        result = job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config={"loggers": {"terminal": {}}},
            tags=tags,
        )
    _raise_if_locked(result.all_events)
    failed, reason = failure_of(result.all_events)
    checks = [check for check in result.get_asset_check_evaluations() if not check.passed]
    names = tuple(f"{check.asset_key.to_user_string()}: {check.check_name}" for check in checks)
    findings = tuple(_finding(check) for check in checks)
    return RunOutcome(result.run_id, result.success, tuple(failed), names, findings, reason)


def _finding(check: dg.AssetCheckEvaluation) -> str:
    found = check.description or "; ".join(f"{name}: {value.value}" for name, value in check.metadata.items())
    return f"{check.severity.value} {check.asset_key.to_user_string()} {check.check_name}: {found}"


def _raise_if_locked(events: Sequence[dg.DagsterEvent]) -> None:
    """A run that did not get the lock has done nothing, not even failed: say whom to wait for."""
    for event in events:
        error = event.engine_event_data.error if event.event_type_value == "RESOURCE_INIT_FAILURE" else None
        while error and error.cause:
            error = error.cause
        if error and error.cls_name == LockedError.__name__:
            raise LockedError(error.message.strip().partition(": ")[2])
