"""Figures and codes as people read them: units, signs, currencies, words for reasons."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

# A number never parts from its unit at the end of a line.
_SPACE = "\u00a0"
NONE = "–"
_LONGEST_CODE = 8

SEGMENTS = {
    "Champions": "bought lately, often and much",
    "Loyal Customers": "buy often, and not long ago",
    "Potential Loyalists": "bought lately, and more than once or twice",
    "New Customers": "bought very lately, for the first time or little",
    "Promising": "bought lately, little so far",
    "Need Attention": "middling in everything, going quiet",
    "About To Sleep": "bought little, a while ago",
    "At Risk": "used to buy often or much, nothing for a while",
    "Can't Lose Them": "were among the best, and have not come back",
    "Hibernating": "bought little, long ago",
    "Lost": "bought least, longest ago",
    "Lapsed": "last bought before the past twelve months",
    "No Purchase": "known to us, never bought",
}
STAGES = {
    "awareness": "known, no sign of interest yet",
    "consideration": "looking: sessions, visits or enquiries, no purchase",
    "purchase": "first purchase within the last month",
    "use": "bought, and uses or buys on",
    "loyalty": "three or more purchase days in a year, the last one recent",
    "advocacy": "loyal, and recommends",
    "at_risk": "overdue to buy, or with an open complaint",
    "dormant": "has not bought for long and is quiet",
    "churned": "no sign of any kind for a year",
}
_KINDS = {
    "parse": "the record cannot be read",
    "type": "the value has the wrong type",
    "required": "a value is missing",
    "enum": "the value is not in the list",
    "pattern": "the value has the wrong form",
    "minimum": "the value is too small",
    "maximum": "the value is too large",
    "max_length": "the text is too long",
    "rule": "the record breaks a rule",
    "duplicate_key": "the key occurs twice",
    "hold": "the whole file waits",
}


def count(number: float | None) -> str:
    """A number of things."""
    return NONE if number is None else f"{number:,.0f}"


def share(part: float | None) -> str:
    """A share (0–1) in percent."""
    return NONE if part is None else f"{part * 100:.1f}{_SPACE}%".replace("-", "−")


def percent(part: float) -> str:
    """A share (0–1) in whole percent, where the unit stands elsewhere."""
    return f"{part * 100:.0f}".replace("-", "−")


def money(amount: Decimal | float | None, currency: str | None, decimals: int = 0, unbroken: bool = True) -> str:
    """An amount in its currency; sums go without decimals, means with two."""
    if amount is None:
        return NONE
    # What rounds to nothing has no sign.
    text = f"{round(Decimal(amount), decimals) + 0:,.{decimals}f}".replace("-", "−")
    if not currency:
        return text
    # A code has three letters; whatever else stands there must not push the figures off the page.
    code = currency if len(currency) <= _LONGEST_CODE else f"{currency[:_LONGEST_CODE]}…"
    return f"{code}{_SPACE if unbroken else ' '}{text}"


def score(value: float | None, decimals: int = 1) -> str:
    """A mean of a scale."""
    return NONE if value is None else f"{value:.{decimals}f}"


def days(number: float | None) -> str:
    """A number of days."""
    if number is None:
        return NONE
    return f"{number:g}{_SPACE}day{'' if number == 1 else 's'}"


def seconds(number: float | None) -> str:
    """A number of seconds."""
    return NONE if number is None else f"{number:.0f}{_SPACE}s"


def date(day: dt.date | None) -> str:
    """A day, in words."""
    return NONE if day is None else f"{day.day}{_SPACE}{day:%B %Y}"


def moment(at: dt.datetime | None) -> str:
    """A moment in UTC."""
    return NONE if at is None else f"{at.day}{_SPACE}{at:%b %Y, %H:%M}"


def change(now: float, before: float | None) -> str:
    """Relative change with its sign; empty where there is nothing to compare with."""
    if not before:
        return ""
    return _signed((now - before) / abs(before) * 100, f"{_SPACE}%")


def points(now: float, before: float | None) -> str:
    """Change of a share (0–1) in percentage points; empty where there is nothing to compare with."""
    return "" if before is None else _signed((now - before) * 100, f"{_SPACE}pts")


def _signed(number: float, unit: str) -> str:
    text = f"{abs(number):.1f}"
    sign = "±" if text == "0.0" else "+" if number > 0 else "−"
    return f"{sign}{text}{unit}"


def title(code: str) -> str:
    """A code such as at_risk as words."""
    return code.replace("_", " ").capitalize()


def reasons(codes: str) -> str:
    """Reasons of the quarantine in words; a code that is not known stays as it is."""
    return "; ".join(_reason(code) for code in codes.split("; "))


def _reason(code: str) -> str:
    kind, _, name = code.partition(":")
    if kind not in _KINDS:
        return code
    return f"{_KINDS[kind]}: {name}" if name else _KINDS[kind]
