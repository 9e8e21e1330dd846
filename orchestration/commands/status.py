"""``watershed status``: where an installation stands, at any moment, without waiting for anybody."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from orchestration.commands.common import ATTENTION, AsJson, print_json, read_contracts, read_settings
from transforms.lake.load import utc_now
from transforms.operations.locks import LockState, lock_states
from transforms.operations.standing import SourceStanding, publication_standing, source_standings
from transforms.publishing import PublicationInfo, read_held
from transforms.quick_imports import quick_imports

if TYPE_CHECKING:
    from orchestration.runs import RunSummary


def status(
    runs: Annotated[int, typer.Option(min=1, help="How many of the last runs to show.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Say how fresh the sources are, how the last runs ended, where every row went, and who holds a lock.

    Takes no lock and opens no warehouse, so that it may be asked while a run goes on. Exit codes: 0 all is well,
    7 something needs attention.
    """
    # Dagster takes seconds to import: only the commands that need it wait.
    with quick_imports("dagster"):
        from orchestration.runs import last_runs

    settings = read_settings()
    sources = source_standings(settings, read_contracts(settings), utc_now())
    locks = lock_states(settings)
    run_lock = next((lock for lock in locks if lock.name == "run" and lock.is_held), None)
    running = run_lock.holder.name if run_lock and run_lock.holder else None
    last = last_runs(settings.home / "dagster", running, runs)
    published, why_not = publication_standing(settings.published)
    attention = [*(text for source in sources for text in source.complaints), *_of_runs(last), *_of_locks(locks)]
    held = read_held(settings)
    attention += [text for text in (why_not, held.sentence if held else "") if text]
    if as_json:
        print_json(
            {
                "home": settings.home,
                "at": utc_now(),
                "sources": [asdict(source) for source in sources],
                "runs": [asdict(run) | {"seconds": run.seconds} for run in last],
                "locks": [asdict(lock) for lock in locks],
                "published": asdict(published) if published else None,
                "attention": attention,
            }
        )
    else:
        _print(sources, last, locks, published, attention)
    if attention:
        raise typer.Exit(ATTENTION)


def _of_runs(runs: list[RunSummary]) -> list[str]:
    """Only the last run that has ended counts: what went wrong before it is mended."""
    ended = next((run for run in runs if run.outcome not in {"running", "waiting", "queued"}), None)
    if ended is None:
        return [] if runs else ["nothing has run yet: watershed run"]
    if ended.outcome == "success":
        return []
    where = f" at {ended.failed_step}" if ended.failed_step else ""
    because = f", {ended.reason}" if ended.reason else ""
    return [f"the last run ended with {ended.outcome}{where}{because}; mend the cause and run again"]


def _of_locks(locks: list[LockState]) -> list[str]:
    return [
        f"{lock.path} is held by a process that {lock.holder.name} had started before it ended; wait for it"
        for lock in locks
        if lock.is_held and lock.holder and not lock.holder.is_alive
    ]


def _print(
    sources: list[SourceStanding],
    runs: list[RunSummary],
    locks: list[LockState],
    published: PublicationInfo | None,
    attention: list[str],
) -> None:
    console = Console(highlight=False, markup=False, width=140)
    rows = [
        (
            source.source,
            _age(source.age_hours),
            _age(source.agreed_hours),
            "fresh" if source.is_fresh else "STALE",
            f"{source.files:,}",
            f"{source.rows_read:,}",
            f"{source.rows_accepted:,}",
            f"{source.rows_quarantined:,}",
            f"{source.rows_held:,}",
            f"{source.rows_duplicate:,}",
        )
        for source in sources
    ]
    columns = ("source", "age", "agreed", "", "files", "read", "accepted", "quarantined", "of them held", "duplicate")
    _table(console, columns, rows, left=(0, 3))
    _table(
        console,
        ("run", "outcome", "started (UTC)", "seconds", "failed at"),
        [(run.run_id, run.outcome, _moment(run.started_at), _seconds(run), run.failed_step or "-") for run in runs],
        left=(0, 1, 2, 4),
    )
    for lock in locks:
        if lock.is_held:
            console.print(f"Lock: {lock.holder or 'another process'} holds {lock.path}", soft_wrap=True)
    if published:
        age = _age(round((utc_now() - published.published_at.replace(tzinfo=dt.UTC)).total_seconds() / 3600, 1))
        console.print(
            f"Published: {published.path}, as of {published.as_of_date}, {age} ago by run {published.run_id}",
            soft_wrap=True,
        )
    console.print()
    for text in attention:
        console.print(f"! {text}", soft_wrap=True)
    console.print("All is well." if not attention else f"{len(attention)} of these need attention.")


def _table(console: Console, columns: tuple[str, ...], rows: list[tuple[str, ...]], left: tuple[int, ...]) -> None:
    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index in left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print()


def _age(hours: float | None) -> str:
    if hours is None:
        return "-"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"


def _moment(moment: dt.datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "-"


def _seconds(run: RunSummary) -> str:
    return "-" if run.seconds is None else f"{run.seconds:,.0f}"
