"""The form in which each source hands over its rows, before dirt and files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from transforms.demo.people import People
from transforms.demo.randomness import Bools, Ints


@dataclass(frozen=True)
class Rows:
    """Rows of one source and block.

    ``frame`` has the physical columns and, beside them, ``_at`` (wall seconds, decides file and order in
    it), ``_record_id`` (as staging will make it), ``_person`` (null for nobody) and ``_usable`` (whether
    the row names its person by something that is theirs alone). Sources that send newer versions of a record
    add ``_current``, true for the version that stays; those that send a record again as it was, ``_unchanged``.
    """

    source: str
    frame: pl.DataFrame


def truth_columns(people: People, person: Ints, wall: Ints, record_id: pl.Series, usable: Bools) -> list[pl.Series]:
    """The columns beside the physical ones; ``person`` is -1 for nobody."""
    known = person >= 0
    return [
        pl.Series("_at", wall),
        record_id.alias("_record_id"),
        pl.Series("_person", np.where(known, person + people.first, -1)),
        pl.Series("_usable", usable & known),
    ]


def present(values: pl.Series) -> Bools:
    """Where a column has a value."""
    return values.is_not_null().to_numpy()


def money(cents: Ints, separator: str) -> pl.Series:
    """Amounts of cents as text with two decimal places."""
    return _decimal(cents, 100, 2, separator)


def thousandths(values: Ints, separator: str) -> pl.Series:
    """Quantities of thousandths as text: whole ones without decimal places, others with three."""
    whole = values % 1000 == 0
    text = _decimal(values, 1000, 3, separator)
    places = np.flatnonzero(whole)
    return text.scatter(places, pl.Series(values[places] // 1000).cast(pl.String))


def _decimal(values: Ints, unit: int, places: int, separator: str) -> pl.Series:
    endings = pl.Series([f"{separator}{number:0{places}d}" for number in range(unit)])
    return pl.Series(values // unit).cast(pl.String) + endings.gather(values % unit)
