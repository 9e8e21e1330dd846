"""The ``watershed`` command."""

from __future__ import annotations

import datetime as dt
import signal
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.commands import backfill, contracts, doctor, explain, identity, publish, quarantine, serve, status
from orchestration.commands.common import BAD_CONTRACT, FAILED, LOCKED, AsJson, print_json, read_settings, stop
from transforms.contracts import ContractError
from transforms.durability import fault_of_disk, why_unwritable
from transforms.locking import LockedError, exclusive
from transforms.quick_imports import quick_imports
from transforms.settings import Settings
from transforms.warehouse import set_aside

if TYPE_CHECKING:
    from orchestration.pipeline import RunOutcome

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Watershed: every channel drains into one customer.")
app.add_typer(contracts.app, name="contracts")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(identity.app, name="identity")
app.command()(backfill.backfill)
app.command()(serve.serve)
app.command()(status.status)
app.command()(doctor.doctor)
app.command()(explain.explain)
app.command()(publish.publish)


def _run(settings: Settings, as_json: bool = False) -> RunOutcome:
    # Dagster and dbt take seconds to import: only the commands that need them wait.
    with quick_imports("dagster"):
        from orchestration.pipeline import run_daily
        from orchestration.runs import failure_sentence

    try:
        outcome = run_daily(settings)
    except ContractError as error:
        raise stop(str(error), BAD_CONTRACT) from error
    except LockedError as error:
        raise stop(str(error), LOCKED) from error
    for finding in outcome.findings:
        typer.echo(finding, err=True)
    if as_json:
        print_json(asdict(outcome) | {"published": settings.published})
    if not outcome.success:
        raise stop(failure_sentence(outcome.run_id, outcome.failed_steps, outcome.reason, settings), FAILED)
    return outcome


@app.command()
def run(
    as_of: Annotated[dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day that counts.")] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Set the warehouse aside; build it anew.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run everything once: pull, gate, identities, marts, publication.

    Exit codes: 0 published, 1 a step or a check that blocks failed, 2 a contract has a fault, 3 another run holds the
    installation, 4 a setting is wrong. Whatever fails, the published file is as it was.
    """
    settings = read_settings(as_of=as_of.date() if as_of else None)
    if rebuild:
        _set_warehouse_aside(settings)
    _run(settings, as_json)
    if not as_json:
        typer.echo(f"Published: {settings.published}\nReport: {settings.reports / 'latest.html'}")


def _set_warehouse_aside(settings: Settings) -> None:
    try:
        with exclusive(settings.run_lock, "run --rebuild", settings.lock_timeout_seconds):
            aside = set_aside(settings)
    except LockedError as error:
        raise stop(str(error), LOCKED) from error
    if aside:
        typer.echo(f"The warehouse was moved to {aside}; delete it when the new one is as it should be.", err=True)


@app.command()
def demo(
    people: Annotated[int | None, typer.Option(help="Size of the sample company.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the sample company.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the seeded sample company, run everything, and print what was built."""
    from orchestration.summary import print_summary, summary
    from transforms.demo import write_company

    started = time.monotonic()
    settings = read_settings(demo_people=people, demo_seed=seed)
    company = write_company(settings, lambda text: typer.echo(f"{time.monotonic() - started:7.1f} s  {text}", err=True))
    _run(settings)
    if as_json:
        print_json(summary(settings, company, time.monotonic() - started))
    else:
        print_summary(settings, company, time.monotonic() - started)


def main() -> None:
    """The command; a disk that is full or read-only is a sentence, not a traceback."""
    # A script's background job starts with interrupts ignored, and Dagster gives SIGTERM the handler that they have:
    # such a run, and whatever it starts, could only be killed.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        app()
    except Exception as error:
        home = Settings().home
        fault = why_unwritable(home) or fault_of_disk(error)
        if fault is None:
            raise
        remedy = "make room as docs/operations.md says under 'Disk full', or have it writable, and run again"
        stop(f"{home} cannot be written to: {fault}. What was published is as it was; {remedy}.", FAILED)
        # Dagster has led both to files on that disk, and what they still hold must not become the exit code.
        sys.stdout = sys.stderr = None  # type: ignore[assignment]
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
