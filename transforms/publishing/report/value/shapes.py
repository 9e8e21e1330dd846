"""What sections of the page share: charts with their tables, cells of maps with their shades."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

_SHADES = 5


@dataclass(frozen=True)
class Chart:
    """A picture, what its colours stand for, and its figures as a table."""

    title: str
    picture: Markup
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    keys: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Shaded:
    """A cell of a map: 0 (lightest) to 5."""

    heat: int
    share: float | None = None
    customers: int = 0
    segment: str = ""
    stays: bool = False


def heat(share: float | None, most: float) -> int:
    """Shade of a share, the darkest being that of ``most``; 0 for nothing."""
    return 0 if not share or not most else max(1, min(_SHADES, round(share / most * _SHADES)))
