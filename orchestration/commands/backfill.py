"""``watershed backfill``: days of the past, told to the history tables again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.commands.common import (
    BAD_CONTRACT,
    BAD_SETTINGS,
    FAILED,
    LOCKED,
    AsJson,
    print_json,
    read_settings,
    stop,
)
from transforms.contracts import ContractError
from transforms.locking import LockedError
from transforms.quick_imports import quick_imports
from transforms.settings import Settings

if TYPE_CHECKING:
    from orchestration.pipeline import RunOutcome


def backfill(
    first: Annotated[dt.datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day of the range.")],
    last: Annotated[dt.datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, included.")],
    as_json: AsJson = False,
) -> None:
    """Rebuild the history tables for a range of days, as daily runs would have, and publish.

    Pulls and gates once, tells each day of the range in its order, and ends with a daily run. Exit codes: 0 published,
    1 a step or a check that blocks failed, 2 a contract has a fault, 3 another run holds the installation, 4 a setting
    or the range is wrong. Whatever fails, the published file is as it was; days that were told stay told.
    """
    settings = read_settings()
    if last < first:
        raise stop(f"--from {first:%Y-%m-%d} lies after --to {last:%Y-%m-%d}: there is no day to run.", BAD_SETTINGS)
    outcomes = _outcomes(settings, first.date(), last.date())
    if as_json:
        runs = [asdict(outcome) for outcome in outcomes]
        print_json({"from": first.date(), "to": last.date(), "runs": runs, "published": settings.published})
    else:
        typer.echo(f"History of {first:%Y-%m-%d} to {last:%Y-%m-%d} told again. Published: {settings.published}")


def _outcomes(settings: Settings, first: dt.date, last: dt.date) -> list[RunOutcome]:
    # Dagster and dbt take seconds to import: nobody waits for them who has mistyped a day.
    with quick_imports("dagster"):
        from orchestration.pipeline import run_backfill, run_daily

    return [
        _ended_well(settings, lambda: run_backfill(settings, first, last)),
        _ended_well(settings, lambda: run_daily(settings)),
    ]


def _ended_well(settings: Settings, run: Callable[[], RunOutcome]) -> RunOutcome:
    from orchestration.runs import failure_sentence

    try:
        outcome = run()
    except ContractError as error:
        raise stop(str(error), BAD_CONTRACT) from error
    except LockedError as error:
        raise stop(str(error), LOCKED) from error
    for finding in outcome.findings:
        typer.echo(finding, err=True)
    if not outcome.success:
        raise stop(failure_sentence(outcome.run_id, outcome.failed_steps, outcome.reason, settings), FAILED)
    return outcome
