"""Lines of Online Retail, line by line in Python, in whole tenths of a penny."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import polars as pl

FILE = "online_retail/online_retail_uci.parquet"
BRITAIN = ZoneInfo("Europe/London")
FEES = frozenset({"AMAZONFEE", "BANK CHARGES", "CRUK", "S"})


@dataclass(frozen=True)
class Line:
    """One line as the file has it; ``mills`` are tenths of a penny a unit."""

    invoice: str
    code: str
    text: str | None
    units: int
    moment: dt.datetime
    mills: int
    customer: int | None

    @property
    def cancels(self) -> bool:
        """True on a cancellation."""
        return self.invoice[0] == "C"

    @property
    def pence(self) -> int:
        """Value of the line, negative on cancellations; whole pence are assumed."""
        return self.units * self.mills // 10

    @property
    def sold_at(self) -> dt.datetime:
        """Moment in UTC, without zone."""
        return _utc(self.moment)

    @property
    def reasons(self) -> frozenset[str]:
        """What the gate must have against the line."""
        found = set()
        direction = -1 if self.cancels else 1
        value = direction * self.units * self.mills
        if direction * self.units < 0:
            found.add("minimum:quantity")
        if value % 10:
            found.add("type:gross_amount")
        elif value < 0:
            found.add("minimum:gross_amount")
        if self.invoice[0] == "A":
            found.add("rule:not_a_bad_debt")
        if self.code in FEES:
            found.add("rule:not_a_cost_of_the_company")
        is_free = self.mills == 0 and self.units > 0 and self.customer is None
        if is_free and not names_an_article(self.text):
            found.add("rule:not_a_note_about_stock")
        return frozenset(found)


def lines(published: pl.DataFrame) -> list[Line]:
    """Lines in the order of the file."""
    names = ("invoice_no", "stock_code", "description", "quantity", "invoice_ts", "unit_price", "customer_id")
    return [
        Line(invoice, code, text, units, moment, round(price * 1000), customer)
        for invoice, code, text, units, moment, price, customer in published.select(names).iter_rows()
    ]


@cache
def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.replace(tzinfo=BRITAIN).astimezone(dt.UTC).replace(tzinfo=None)


def names_an_article(text: str | None) -> bool:
    """Articles are written in capitals, clerks write in small letters."""
    capitals = ["A" <= letter <= "Z" for letter in text or ""]
    return any(one and other for one, other in pairwise(capitals))


def kept(all_lines: Iterable[Line]) -> Counter[Line]:
    """Lines that are sales or cancellations, each with the times that the file repeats it."""
    return Counter(line for line in all_lines if not line.reasons)
