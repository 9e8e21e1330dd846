"""Runs as Dagster keeps them: the last ones for people, and those that were killed and never said so."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from transforms.settings import Settings
from transforms.warehouse import is_damaged

REPORT_STEP = "published__report"

_UNFINISHED = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
_FAILURES = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
_DBT_ERRORS = "Errors parsed from dbt logs:"
_CLASS = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Failure): ")
# Between the end of a wait for the lock and the note of it.
_GRACE = dt.timedelta(minutes=1)


@dataclass(frozen=True)
class RunSummary:
    """One run: ``outcome`` is success, failure, canceled, running, waiting, queued or killed; moments are UTC."""

    run_id: str
    job: str
    outcome: str
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    failed_step: str | None
    reason: str | None

    @property
    def seconds(self) -> float | None:
        """How long it took, None while it lasts."""
        return (self.ended_at - self.started_at).total_seconds() if self.started_at and self.ended_at else None


def failure_sentence(run_id: str, steps: Sequence[str], reason: str, settings: Settings) -> str:
    """What failed, where, and how to go on: the same words on the terminal and from the daemon."""
    where = ", ".join(steps) or "a check that blocks"
    because = f": {_first_line(reason)}" if reason else ""
    # The report is the one step that comes after the publication.
    readers = "is the new one all the same" if list(steps) == [REPORT_STEP] else "is as it was"
    remedy = "mend the cause and run again: what was done is not done twice"
    if is_damaged(reason):
        remedy = "`watershed run --rebuild` sets the damaged file aside and builds all of it from the lake"
    return (
        f"The run {run_id} failed at {where}{because}. {settings.published} {readers}; {remedy}."
        " See docs/operations.md, and `watershed status`."
    )


def failure_of(events: Iterable[dg.DagsterEvent]) -> tuple[list[str], str]:
    """The steps that failed, and the reason of the first; a check that blocks fails a step of no name."""
    steps: list[str] = []
    reasons: list[str] = []
    for event in events:
        if event.event_type_value == "STEP_FAILURE":
            steps.append(event.step_key or "")
            error = event.step_failure_data.error
            while error and error.cause:
                error = error.cause
            reasons.append(error.message if error else event.message or "")
    return steps, reasons[0] if reasons else ""


def last_runs(home: Path, running: str | None, limit: int = 5) -> list[RunSummary]:
    """The newest runs first, from the Dagster home; none where there is no such folder.

    :param running: name of the holder of the run lock, None where it is free.
    """
    if not (home / "dagster.yaml").exists():
        return []
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return [_summary(instance, record, running) for record in instance.get_run_records(limit=limit)]


def close_abandoned(instance: dg.DagsterInstance, mine: str | None, wait_seconds: float) -> list[str]:
    """Note the end of runs that were killed, or the queue would wait for them for ever; returns their ids.

    Called by whoever holds the run lock: a run that has begun a step once held it, and one that is older than the
    longest wait for it has given up.
    """
    closed = []
    oldest_waiting = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=wait_seconds) - _GRACE
    for record in instance.get_run_records(dg.RunsFilter(statuses=_UNFINISHED)):
        run = record.dagster_run
        if run.run_id == mine or not (record.create_timestamp < oldest_waiting or _has_begun(instance, run.run_id)):
            continue
        instance.report_run_failed(run, "The process of this run was killed; the next run completes its work.")
        closed.append(run.run_id)
    return closed


def forget_old_runs(instance: dg.DagsterInstance, older_than: dt.timedelta, limit: int = 50) -> int:
    """Remove the records and logs of runs that ended long ago, the oldest first; returns how many.

    A run leaves about 3 MB. What it did to the data stays in the lake's own records.
    """
    ended = [status for status in dg.DagsterRunStatus if status not in {*_UNFINISHED, dg.DagsterRunStatus.QUEUED}]
    before = dt.datetime.now(dt.UTC) - older_than
    old = instance.get_run_records(dg.RunsFilter(statuses=ended, created_before=before), limit=limit, ascending=True)
    for record in old:
        instance.delete_run(record.dagster_run.run_id)
        shutil.rmtree(Path(instance.storage_directory()) / record.dagster_run.run_id, ignore_errors=True)
    return len(old)


def _has_begun(instance: dg.DagsterInstance, run_id: str) -> bool:
    return bool(instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_START, limit=1).records)


def _summary(instance: dg.DagsterInstance, record: dg.RunRecord, running: str | None) -> RunSummary:
    run = record.dagster_run
    outcome = run.status.value.lower()
    if run.status in _UNFINISHED:
        # Of runs that are not at work, one that has begun was killed, the others wait for their turn.
        begun = _has_begun(instance, run.run_id)
        outcome = "running" if running == f"run {run.run_id}" else "killed" if begun or not running else "waiting"
    step, reason = None, None
    if run.status is dg.DagsterRunStatus.FAILURE:
        entries = instance.get_records_for_run(run.run_id, of_type=_FAILURES, limit=100).records
        events = [entry.event_log_entry.dagster_event for entry in entries if entry.event_log_entry.dagster_event]
        steps, reason = failure_of(events)
        step = ", ".join(steps) or None
        reason = _first_line(reason or next((event.message or "" for event in reversed(events)), ""))
    return RunSummary(
        run.run_id, run.job_name, outcome, _moment(record.start_time), _moment(record.end_time), step, reason
    )


def _moment(timestamp: float | None) -> dt.datetime | None:
    return dt.datetime.fromtimestamp(timestamp, dt.UTC).replace(microsecond=0) if timestamp else None


def _first_line(text: str) -> str:
    """What went wrong, in a line: dbt's own words where dbt failed, without the class of the exception."""
    if "DagsterExecutionInterruptedError" in text:
        return "it was told to stop"
    said = text.partition(_DBT_ERRORS)[2] or text
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    # After lines of its progress dbt names the model, and in the line after that what is wrong with it.
    first = next((place for place, line in enumerate(lines) if " Error in " in line), 0)
    kept = " ".join(lines[first : first + 2] if _DBT_ERRORS in text else lines[:1])
    return _CLASS.sub("", kept).removesuffix(".")
