"""How built tables are held against oracles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable

import polars as pl

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
