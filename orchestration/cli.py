"""The ``watershed`` command."""

from __future__ import annotations

import datetime as dt
import time
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from transforms.contracts import ContractError, load_contracts
from transforms.locking import LockedError
from transforms.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Watershed: every channel drains into one customer.")
contracts_app = typer.Typer(no_args_is_help=True, help="Data contracts.")
app.add_typer(contracts_app, name="contracts")

FAILED, BAD_CONTRACT, LOCKED, BAD_SETTINGS = 1, 2, 3, 4


def _stop(message: str, code: int) -> typer.Exit:
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(message)
    return typer.Exit(code)


def _settings(**overrides: object) -> Settings:
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [f"WATERSHED_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
        raise _stop("\n".join(lines), BAD_SETTINGS) from error


def _run(settings: Settings) -> None:
    # Dagster and dbt take seconds to import: only the commands that need them wait.
    from orchestration.pipeline import run_daily

    try:
        outcome = run_daily(settings)
    except ContractError as error:
        raise _stop(str(error), BAD_CONTRACT) from error
    except LockedError as error:
        raise _stop(str(error), LOCKED) from error
    for finding in outcome.findings:
        typer.echo(finding, err=True)
    if not outcome.success:
        steps = ", ".join(outcome.failed_steps) or "a check that blocks"
        where = settings.published
        text = f"The run {outcome.run_id} failed at {steps}. {where} is as it was; mend the cause and run again."
        raise _stop(text, FAILED)


@app.command()
def run(
    as_of: Annotated[dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day that counts.")] = None,
) -> None:
    """Run everything once: pull, gate, identities, marts, publication."""
    settings = _settings(as_of=as_of.date() if as_of else None)
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
    settings = _settings(demo_people=people, demo_seed=seed)
    company = write_company(settings, lambda text: typer.echo(f"{time.monotonic() - started:7.1f} s  {text}", err=True))
    _run(settings)
    print_summary(settings, company, time.monotonic() - started)


@contracts_app.command("lint")
def contracts_lint() -> None:
    """Check every contract; each fault is printed with file, line and remedy."""
    settings = _settings()
    try:
        contracts = load_contracts(settings.entities, settings.contracts)
    except ContractError as error:
        raise _stop(str(error), BAD_CONTRACT) from error
    typer.echo(f"{len(contracts.entities)} entities and {len(contracts.sources)} sources: no faults.")


if __name__ == "__main__":
    app()
