"""The ``watershed`` command."""

from __future__ import annotations

import datetime as dt
import time
from typing import Annotated

import typer

from orchestration.commands import contracts, doctor, publish, quarantine, status
from orchestration.commands.common import BAD_CONTRACT, FAILED, LOCKED, read_settings, stop
from transforms.contracts import ContractError
from transforms.locking import LockedError
from transforms.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Watershed: every channel drains into one customer.")
app.add_typer(contracts.app, name="contracts")
app.add_typer(quarantine.app, name="quarantine")
app.command()(status.status)
app.command()(doctor.doctor)
app.command()(publish.publish)


def _run(settings: Settings) -> None:
    # Dagster and dbt take seconds to import: only the commands that need them wait.
    from orchestration.pipeline import run_daily

    try:
        outcome = run_daily(settings)
    except ContractError as error:
        raise stop(str(error), BAD_CONTRACT) from error
    except LockedError as error:
        raise stop(str(error), LOCKED) from error
    for finding in outcome.findings:
        typer.echo(finding, err=True)
    if not outcome.success:
        steps = ", ".join(outcome.failed_steps) or "a check that blocks"
        where = settings.published
        text = f"The run {outcome.run_id} failed at {steps}. {where} is as it was; mend the cause and run again."
        raise stop(text, FAILED)


@app.command()
def run(
    as_of: Annotated[dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day that counts.")] = None,
) -> None:
    """Run everything once: pull, gate, identities, marts, publication."""
    settings = read_settings(as_of=as_of.date() if as_of else None)
    _run(settings)
    typer.echo(f"Published: {settings.published}")


@app.command()
def demo(
    people: Annotated[int | None, typer.Option(help="Size of the sample company.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the sample company.")] = None,
) -> None:
    """Write the seeded sample company, run everything, and print what was built."""
    from orchestration.summary import print_summary
    from transforms.demo import write_company

    started = time.monotonic()
    settings = read_settings(demo_people=people, demo_seed=seed)
    company = write_company(settings, lambda text: typer.echo(f"{time.monotonic() - started:7.1f} s  {text}", err=True))
    _run(settings)
    print_summary(settings, company, time.monotonic() - started)


if __name__ == "__main__":
    app()
