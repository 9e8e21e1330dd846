"""Days, opening hours and clocks of the sample company.

Times are whole seconds of the wall clock since the first midnight ("wall seconds"); the sources
that report UTC convert at the end.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from transforms.demo.randomness import Floats, Ints, weighted

FIRST_DAY = dt.date(2024, 1, 1)
"""A Monday: weekly files begin with the calendar week. Card, app and shop started on this day."""
LAST_DAY = dt.date(2025, 6, 30)
DAYS = (LAST_DAY - FIRST_DAY).days + 1
DAY = 86_400
END = DAYS * DAY
ZONE = "Europe/Berlin"

_HOLIDAYS = {
    *(dt.date(2024, month, day) for month, day in [(1, 1), (3, 29), (4, 1), (5, 1), (5, 9), (5, 20)]),
    *(dt.date(2024, month, day) for month, day in [(10, 3), (12, 25), (12, 26)]),
    *(dt.date(2025, month, day) for month, day in [(1, 1), (4, 18), (4, 21), (5, 1), (5, 29), (6, 9)]),
}
_MONTHS = [0.86, 0.88, 0.95, 0.98, 1.0, 0.98, 0.94, 0.92, 0.98, 1.02, 1.22, 1.38]
_WEEKDAYS = [0.92, 0.90, 0.92, 0.98, 1.15, 1.35, 0.70]

# Weight of each full hour. Tills and hotline are shut in the hours that clock changes repeat or skip.
SHOP_HOURS = [0] * 8 + [3, 5, 7, 8, 8, 7, 7, 8, 10, 10, 8, 4] + [0] * 4
CALL_HOURS = [0] * 8 + [8, 11, 12, 10, 7, 7, 8, 8, 8, 7, 5, 3] + [0] * 4
SCREEN_HOURS = [1.5, 0.8, 0.4, 0.3, 0.4, 1, 2, 3, 4, 4, 5, 5, 6, 5, 5, 5, 5, 6, 7, 9, 11, 11, 8, 4]


def calendar() -> list[dt.date]:
    """All days of the company, ascending."""
    return [FIRST_DAY + dt.timedelta(days=number) for number in range(DAYS)]


@cache
def _season() -> Floats:
    """Purchases to expect by the end of each day, scaled so that the last value is the number of days."""
    weights = np.array([_MONTHS[day.month - 1] * _WEEKDAYS[day.weekday()] for day in calendar()])
    for number, day in enumerate(calendar()):
        if day.month == 12 and day.day <= 23:
            weights[number] *= 1.25
        elif (day.month == 12 and day.day > 26) or (day.month == 1 and day.day < 7):
            weights[number] *= 0.8
        elif day.month == 11 and 22 <= day.day <= 29:
            weights[number] *= 1.3
    total = np.cumsum(weights)
    return total * (DAYS / total[-1])


def day_of(operational: Floats) -> Ints:
    """Calendar day of a moment in operational time.

    Operational time runs fast on busy days and slowly on quiet ones. A Poisson process in it shows
    weekdays and Christmas in the calendar and keeps the planted rates exact.
    """
    return np.searchsorted(_season(), operational, side="right").clip(0, DAYS - 1)


@cache
def _open_days() -> tuple[Ints, Ints]:
    is_open = np.array([day.weekday() < 6 and day not in _HOLIDAYS for day in calendar()])
    numbers = np.arange(DAYS)
    following = np.minimum.accumulate(np.where(is_open, numbers, DAYS)[::-1])[::-1]
    preceding = np.maximum.accumulate(np.where(is_open, numbers, -1))
    return following, preceding


def open_day(rng: np.random.Generator, day: Ints, earliest: Ints) -> Ints:
    """An open day near each day: itself, mostly the previous one, else the next one; none before ``earliest``.

    The company's last day is an open day, so that a next one always exists.
    """
    following, preceding = _open_days()
    before = preceding[day]
    back = (rng.random(len(day)) < 0.7) & (before >= earliest)
    return np.where(back, before, following[day])


def next_open_day(day: Ints) -> Ints:
    """The day itself where shops are open, else the next open one; days must lie in the calendar."""
    return _open_days()[0][day]


def clock(rng: np.random.Generator, size: int, hours: list[float] | list[int]) -> Ints:
    """Seconds since midnight, by the weights of the hours."""
    return weighted(rng, size, hours) * 3600 + rng.integers(0, 3600, size)


@cache
def _offsets() -> Ints:
    """Seconds to take off the wall clock for UTC, for each hour of the calendar and one day after it.

    In the repeated hour of autumn the first pass counts; in the skipped hour of spring Python's rule
    (PEP 495) gives the instant that the clock would have shown before the change.
    """
    zone = ZoneInfo(ZONE)
    midnight = dt.datetime.combine(FIRST_DAY, dt.time())
    moments = (midnight + dt.timedelta(hours=hour) for hour in range((DAYS + 1) * 24))
    return np.array([int(zone.utcoffset(moment).total_seconds()) for moment in moments])  # type: ignore[union-attr]


def utc_offset(wall: Ints) -> Ints:
    """Seconds by which the wall clock is ahead of UTC."""
    return _offsets()[wall // 3600]


def to_utc(wall: Ints) -> Ints:
    """Seconds of UTC since the first midnight of the wall clock read as UTC."""
    return wall - utc_offset(wall)


def moments(seconds: Ints, milliseconds: Ints | None = None) -> pl.Series:
    """Seconds since the first midnight as naive timestamps (ms)."""
    epoch = int(dt.datetime.combine(FIRST_DAY, dt.time(), dt.UTC).timestamp())
    values = (seconds + epoch) * 1000
    return pl.Series(values if milliseconds is None else values + milliseconds).cast(pl.Datetime("ms"))


def weeks() -> tuple[Ints, list[str]]:
    """Week number of each day, and the ISO names of the weeks."""
    names = [f"{day.isocalendar().year}-W{day.isocalendar().week:02d}" for day in calendar()[::7]]
    return np.arange(DAYS) // 7, names


def months() -> tuple[Ints, list[str]]:
    """Month number of each day, and the names of the months."""
    names = sorted({f"{day:%Y-%m}" for day in calendar()})
    position = {name: number for number, name in enumerate(names)}
    return np.array([position[f"{day:%Y-%m}"] for day in calendar()]), names


def quarters() -> tuple[Ints, list[str]]:
    """Quarter number of each day, and the names of the quarters."""
    names = sorted({f"{day.year}-Q{(day.month + 2) // 3}" for day in calendar()})
    position = {name: number for number, name in enumerate(names)}
    return np.array([position[f"{day.year}-Q{(day.month + 2) // 3}"] for day in calendar()]), names
