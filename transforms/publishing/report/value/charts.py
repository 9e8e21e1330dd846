"""Charts as inline SVG: no script, colours by class, so that they follow the page into the dark and onto paper.

A chart repeats figures that stand in a table beside it, and names itself for those who listen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

# Small enough that texts stay legible on a phone.
_WIDTH, _HEIGHT = 400, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 10, 34


@dataclass(frozen=True)
class Series:
    """One line or colour of bars; ``kind`` is its class."""

    name: str
    kind: str
    values: Sequence[float | None]


def ticks(high: float, most: int = 5) -> list[float]:
    """Round values from 0 to at least ``high``, at most ``most`` steps."""
    if not high > 0:
        return [0.0, 1.0]
    raw = high / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    count = math.ceil(high / step - 1e-9)
    return [step * number for number in range(count + 1)]


def bars(title: str, groups: Sequence[str], series: Sequence[Series], below: str, percent: bool = False) -> Markup:
    """Groups of bars side by side; ``below`` names what the groups are."""
    high = max((value or 0 for one in series for value in one.values), default=0)
    scale = ticks(high)
    shapes = _vertical(scale, percent)
    room = (_WIDTH - _LEFT - _RIGHT) / max(len(groups), 1)
    width = room * 0.76 / max(len(series), 1)
    for place, group in enumerate(groups):
        left = _LEFT + room * (place + 0.12)
        for number, one in enumerate(series):
            value = one.values[place]
            if value:
                tall = value / scale[-1] * (_HEIGHT - _TOP - _BOTTOM)
                shapes.append(
                    f'<rect class="{one.kind}" x="{left + width * number:.1f}" y="{_HEIGHT - _BOTTOM - tall:.1f}"'
                    f' width="{width:.1f}" height="{tall:.1f}"/>'
                )
        # Long or many names would run into each other.
        if len(groups) <= 12 or place % 2 == 0:
            shapes.append(_text(_LEFT + room * (place + 0.5), _HEIGHT - _BOTTOM + 13, str(group), "middle"))
    return _svg(title, [*shapes, _text((_LEFT + _WIDTH) / 2, _HEIGHT - 4, below, "middle")])


def lines(
    title: str,
    at: Sequence[float],
    series: Sequence[Series],
    below: str,
    band: tuple[Sequence[float | None], Sequence[float | None]] | None = None,
    mark: float | None = None,
    percent: bool = False,
    steps: bool = False,
    names: Sequence[str] | None = None,
) -> Markup:
    """Lines over ``at``, with an interval behind them and a mark across; ``names`` stand for the values of ``at``."""
    values = [value for one in series for value in one.values if value is not None]
    if band:
        values += [value for value in band[1] if value is not None]
    scale = ticks(max(values, default=0))
    first, last = (min(at), max(at)) if at else (0.0, 1.0)

    def x(value: float) -> float:
        return _LEFT + (value - first) / ((last - first) or 1) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - value / scale[-1] * (_HEIGHT - _TOP - _BOTTOM)

    def path(points: Sequence[tuple[float, float]]) -> list[str]:
        found: list[str] = []
        for number, (one, other) in enumerate(points):
            if steps and number:
                found.append(f"{x(one):.1f},{y(points[number - 1][1]):.1f}")
            found.append(f"{x(one):.1f},{y(other):.1f}")
        return found

    shapes = _vertical(scale, percent)
    if band:
        known = [(one, low, high) for one, low, high in zip(at, *band, strict=True) if low is not None]
        upper = path([(one, high) for one, _, high in known if high is not None])
        lower = path([(one, low) for one, low, _ in known if low is not None])
        shapes.append(f'<polygon class="band" points="{" ".join([*upper, *reversed(lower)])}"/>')
    if mark is not None:
        shapes.append(
            f'<line class="mark" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
        )
    for one in series:
        points = [(place, value) for place, value in zip(at, one.values, strict=True) if value is not None]
        shapes.append(f'<polyline class="line {one.kind}" points="{" ".join(path(points))}"/>')
    if names:
        every = max(1, math.ceil(len(names) / 6))
        for number, (place, name) in enumerate(zip(at, names, strict=True)):
            # Counted from the last, which is the one that people look for.
            if (len(names) - 1 - number) % every == 0:
                shapes.append(_text(x(place), _HEIGHT - _BOTTOM + 13, name, _anchor(place, first, last)))
    else:
        for tick in ticks(last):
            if first <= tick <= last:
                shapes.append(_text(x(tick), _HEIGHT - _BOTTOM + 13, _short(tick), _anchor(tick, first, last)))
    return _svg(title, [*shapes, _text((_LEFT + _WIDTH) / 2, _HEIGHT - 4, below, "middle")])


def _anchor(value: float, first: float, last: float) -> str:
    """Texts at the ends of an axis stay within the picture."""
    return "end" if value == last else "start" if value == first else "middle"


def _vertical(scale: Sequence[float], percent: bool) -> list[str]:
    """Lines of the scale with their values."""
    shapes = []
    for tick in scale:
        y = _HEIGHT - _BOTTOM - tick / scale[-1] * (_HEIGHT - _TOP - _BOTTOM)
        shapes.append(f'<line class="rule" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        text = f"{tick * 100:g} %" if percent else _short(tick)
        shapes.append(_text(_LEFT - 5, y + 4, text, "end"))
    return shapes


def _short(value: float) -> str:
    """A round value in few letters."""
    for size, letter in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{round(value, 6):g}"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(title: str, shapes: Sequence[str]) -> Markup:
    # Whatever comes from outside has been escaped where it was put in.
    inside = "".join(shapes)
    return Markup(  # noqa: S704
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}"'
        f' focusable="false">{inside}</svg>'
    )
