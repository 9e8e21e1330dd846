"""``watershed quarantine``: what waits at the gate, and how it comes out."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from orchestration.commands.common import FAILED, LOCKED, AsJson, read_contracts, read_settings, stop
from transforms.contracts import SourceContract
from transforms.lake.quarantine import ReleaseError, list_quarantine, release, show_quarantine
from transforms.locking import LockedError, exclusive
from transforms.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Rows that broke a contract: list, show, release.")

SourceName = Annotated[str, typer.Argument(help="Name of the source, as its contract gives it.")]


def _sources(settings: Settings, name: str | None) -> list[SourceContract]:
    contracts = read_contracts(settings)
    if name is None:
        return list(contracts.sources.values())
    if name not in contracts.sources:
        raise stop(f"There is no source '{name}'. Known: {', '.join(sorted(contracts.sources))}.", FAILED)
    return [contracts.sources[name]]


@app.command("list")
def list_(
    source: Annotated[str | None, typer.Argument(help="One source; without it, all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Count what waits, by source and broken rules."""
    settings = read_settings()
    waiting = [item for contract in _sources(settings, source) for item in list_quarantine(settings, contract)]
    if as_json:
        typer.echo(json.dumps([asdict(item) for item in waiting], default=str, ensure_ascii=False))
        return
    if not waiting:
        typer.echo("Nothing is in quarantine.")
        return
    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(("source", "stage", "reasons", "rows", "files", "since", "for instance")):
        table.add_column(column, justify="right" if index in {3, 4} else "left", overflow="fold")
    for item in waiting:
        since = f"{item.oldest:%Y-%m-%d}"
        example = f"{item.example[0]}, row {item.example[1]}"
        table.add_row(item.source, item.stage, item.reasons, f"{item.rows:,}", f"{item.files:,}", since, example)
    Console(highlight=False, width=140).print(table)


@app.command()
def show(
    source: SourceName,
    file: Annotated[str | None, typer.Option(help="Only of this file.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only for this reason, for instance type:gross_amount.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many records.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Print records as they came, personal data included; with --json one document per line."""
    settings = read_settings()
    (contract,) = _sources(settings, source)
    for record in show_quarantine(settings, contract, file, reason, limit):
        if as_json:
            typer.echo(json.dumps(asdict(record), ensure_ascii=False))
        else:
            typer.echo(f"{record.file}, row {record.row}: {record.reasons}\n    {record.raw}")


@app.command("release")
def release_(
    source: SourceName,
    file: Annotated[str | None, typer.Option(help="A held file that may go on, or the file of --row.")] = None,
    row: Annotated[list[int] | None, typer.Option(help="A row of the file to keep as it is; may be repeated.")] = None,
    rule: Annotated[str | None, typer.Option(help="Keep all rows that break this rule alone: pattern:email.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for those who come after you.")] = None,
    by: Annotated[str | None, typer.Option(help="Who decides; default the user of this shell.")] = None,
    as_json: AsJson = False,
) -> None:
    """Replay what waits under the contract as it now stands, or let some of it through."""
    settings = read_settings()
    (contract,) = _sources(settings, source)
    try:
        with exclusive(settings.run_lock, "watershed quarantine release", settings.lock_timeout_seconds):
            report = release(
                settings,
                contract,
                reason=reason,
                released_by=by or getpass.getuser(),
                file=file,
                rows=row or (),
                rule=rule,
                progress=lambda text: typer.echo(text, err=True),
            )
    except ReleaseError as error:
        raise stop(f"{error}.", FAILED) from error
    except LockedError as error:
        raise stop(str(error), LOCKED) from error
    if as_json:
        figures = {name: getattr(report, name) for name in ("before", "after", "accepted_before", "accepted_after")}
        typer.echo(json.dumps(figures, ensure_ascii=False))
        return
    typer.echo(f"{report.came_out:,} rows came out of quarantine, {sum(report.after.values()):,} wait on.")
    typer.echo(f"Accepted rows of {source}: {report.accepted_before:,} before, {report.accepted_after:,} now.")
    for text, rows in sorted(report.after.items(), key=lambda item: -item[1])[:20]:
        typer.echo(f"  {rows:,}  {text}")
    typer.echo("The marts follow with the next run.")
