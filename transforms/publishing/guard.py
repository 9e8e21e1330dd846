"""The guard at the door: which figures jumped since the last publication.

A mapping that drops half of the customers, a price in cents, a key that merges everybody: each may keep every rule of
every row, and still none of it may reach the readers unseen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from transforms.publishing.figures import Figures
from transforms.settings import Settings

# Shares are quotients: what is equal to the bound on paper may differ from it in the last digit.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Finding:
    """A figure that moved by more than its bound, as texts with units."""

    figure: str
    before: str
    after: str
    change: str
    bound: str

    def __str__(self) -> str:
        limit = f", bound {self.bound}" if self.bound else ""
        return f"{self.figure} {self.before} → {self.after} ({self.change}{limit})"


def judge(before: Figures, after: Figures, settings: Settings, free: Collection[str] = ()) -> tuple[Finding, ...]:
    """Figures of ``after`` that moved beyond the settings' bounds; the tables ``free`` may hold what they like."""
    small = settings.publication_small
    return (
        *_customers(before, after, settings.publication_customers_bound, small),
        *_revenue(before, after, settings.publication_revenue_bound, small),
        *_segments(before, after, settings.publication_segment_bound, small),
        *_rows(before, after, settings.publication_rows_bound, small, free),
    )


def _customers(before: Figures, after: Figures, bound: float, small: int) -> Iterator[Finding]:
    if max(before.customers, after.customers) >= small:
        yield from _relative("customers", before.customers, after.customers, bound, ",")


def _revenue(before: Figures, after: Figures, bound: float, small: int) -> Iterator[Finding]:
    for currency in sorted({*before.revenue, *after.revenue} if before.revenue and after.revenue else ()):
        if max(before.buyers.get(currency, 0), after.buyers.get(currency, 0)) < small:
            continue
        amounts = [float(figures.revenue.get(currency, 0)) for figures in (before, after)]
        yield from _relative(f"net revenue {currency}".strip(), amounts[0], amounts[1], bound, ",.2f")


def _segments(before: Figures, after: Figures, bound: float, small: int) -> Iterator[Finding]:
    if not (before.segments and after.segments) or max(before.customers, after.customers) < small:
        return
    for segment in sorted({*before.segments, *after.segments}):
        old, new = (figures.segments.get(segment, 0) / max(figures.customers, 1) for figures in (before, after))
        if abs(new - old) > bound + _ROUNDING:
            name = f"segment {segment}" if segment else "customers without segment"
            points = f"{(new - old) * 100:+.1f} points"
            yield Finding(f"share of {name}", _percent(old), _percent(new), points, f"{bound * 100:g} points")


def _rows(before: Figures, after: Figures, bound: float, small: int, free: Collection[str]) -> Iterator[Finding]:
    for table in sorted(set(before.rows) - set(free)):
        old, new = before.rows[table], after.rows.get(table)
        if new is None:
            yield Finding(table, f"{old:,} rows", "no such table", "readers would miss it", "")
        elif old and not new:
            yield Finding(table, f"{old:,} rows", "0 rows", "it would be empty", "")
        # The number of customers has a bound of its own.
        elif table != "customer_360" and old and max(old, new) >= small:
            yield from _relative(f"rows of {table}", old, new, bound, ",")


def _relative(figure: str, old: float, new: float, bound: float, spec: str) -> Iterator[Finding]:
    if old == new or (old and abs(new - old) / abs(old) <= bound + _ROUNDING):
        return
    change = f"{(new - old) / abs(old) * 100:+.1f} %" if old else "there was none"
    yield Finding(figure, format(old, spec), format(new, spec), change, f"{bound * 100:g} %")


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"
