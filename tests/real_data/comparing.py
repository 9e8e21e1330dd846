"""How built tables are held against oracles."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable

import polars as pl
import pytest

RETAIL = "completejourney_transactions"


def cents(column: str) -> pl.Expr:
    """An amount in whole cents, under its own name."""
    return (pl.col(column) * 100).cast(pl.Int64).alias(column)


def one_to_one(pairs: Iterable[tuple[Hashable, Hashable]]) -> bool:
    """Whether two labels split the same records in the same way."""
    forward: dict[Hashable, set[Hashable]] = defaultdict(set)
    backward: dict[Hashable, set[Hashable]] = defaultdict(set)
    for left, right in pairs:
        forward[left].add(right)
        backward[right].add(left)
    return all(len(found) == 1 for found in (*forward.values(), *backward.values()))


def refusals(refused: pl.DataFrame) -> Counter[frozenset[str]]:
    """Rows in quarantine by all the reasons of a row together."""
    return Counter(frozenset(reasons.split("; ")) for reasons in refused["reasons"])


def as_counted(published: pl.DataFrame, rows: int) -> None:
    """Skip where the file at hand is another cut than the one whose figures were counted by hand."""
    if published.height != rows:
        pytest.skip(f"the figures were counted in a file of {rows:,} rows; this one has {published.height:,}")
