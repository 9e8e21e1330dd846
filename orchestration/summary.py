"""The end of ``watershed demo``: what was built, how good it is, what to ask it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from transforms.demo import CompanySummary
from transforms.demo.report import score_run
from transforms.publishing.examples import QUERIES
from transforms.publishing.overview import read_overview
from transforms.settings import Settings


def _table(console: Console, title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(_text(value) for value in row))
    console.print(table)
    console.print()


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if not isinstance(value, str) else value


def summary(settings: Settings, company: CompanySummary, elapsed_seconds: float) -> dict[str, Any]:
    """What a demo run built, for programs: the figures that ``print_summary`` prints."""
    overview = read_overview(settings.published)
    columns = ("source", "files", "read", "accepted", "quarantined", "duplicate")
    return {
        "published": settings.published,
        "as_of_date": overview.as_of,
        "people": company.people,
        "customers": overview.customers,
        "sources": [dict(zip(columns, row, strict=True)) for row in overview.sources],
        "identity": asdict(score_run(settings)),
        "elapsed_seconds": round(elapsed_seconds, 1),
    }


def print_summary(settings: Settings, company: CompanySummary, elapsed_seconds: float) -> None:
    """Print what a demo run built, from the published file and the planted truth."""
    console = Console(highlight=False, width=110)
    overview = read_overview(settings.published)
    score = score_run(settings)
    console.print()
    columns = ("source", "files", "read", "accepted", "quarantined", "duplicate")
    _table(console, "Rows per source", columns, overview.sources)
    console.print(f"Customers found: {overview.customers:,} of {company.people:,} people, as of {overview.as_of}")
    console.print(
        f"Identity against the planted truth: precision {score.precision:.4f}, recall {score.recall:.4f},"
        f" F1 {score.f1:.4f} (pairs of records);\n"
        f"B-cubed precision {score.bcubed_precision:.4f}, recall {score.bcubed_recall:.4f}, F1 {score.bcubed_f1:.4f};"
        f" customers that hold several people: {score.mixed_customers:,}\n"
    )
    columns = ("segment", "customers", "share", "net revenue", "of revenue", "currency")
    _table(console, "Segments", columns, overview.segments)
    columns = ("stage", "now", "ever", "to next stage", "median days")
    _table(console, "Journey", columns, overview.funnel)
    console.print(f"Published: {settings.published}  ({elapsed_seconds:.0f} s)\n")
    console.print(f"Three queries to try:  duckdb -readonly {settings.published}")
    for title, sql in QUERIES:
        console.print(f"\n-- {title}\n{sql};", soft_wrap=True)
