"""Where an incremental pull goes on: the highest value that was seen of a field of the records."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any

from transforms.contracts.servers.api import Incremental
from transforms.contracts.servers.api_options import order_of

_DATE = re.compile(r"\d{4}-?\d\d-?\d\d")


class HighWaterMark:
    """The highest cursor value of all records so far, kept as the text that the provider wrote.

    A timestamp after the pull's own begin is left out of account: one order dated 2999 would end all pulls.
    """

    def __init__(self, cursor: Incremental, former: str | None, now: dt.datetime):
        self.cursor = cursor
        self.text = former if former is not None else cursor.initial_value
        self._highest = order_of(cursor.type, self.text) if self.text is not None else None
        self._now = now
        self._seen = self._readable = 0

    @property
    def is_blind(self) -> bool:
        """True when records came and none had a value that could be read."""
        return self._seen > 0 and self._readable == 0

    def params(self) -> dict[str, str]:
        """Query parameter of this pull; empty on the first without an initial value."""
        if self.text is None or self._highest is None:
            return {}
        return {self.cursor.param: self._less_overlap(self.text, self._highest)}

    def see(self, record: Any) -> None:
        """Take a record into account."""
        from transforms.sources.http_json import follow, scalar_text

        self._seen += 1
        try:
            text = scalar_text(follow(record, self.cursor.path))
        except KeyError:
            return
        value = order_of(self.cursor.type, text) if text is not None else None
        if value is None:
            return
        self._readable += 1
        if isinstance(value, dt.datetime) and value > self._now:
            return
        if self._highest is None or value > self._highest:
            self._highest, self.text = value, text

    def _less_overlap(self, text: str, value: Any) -> str:
        """The value moved back by the overlap, written as the provider writes it."""
        if self.cursor.overlap == 0 or text == self.cursor.initial_value:
            return text
        if isinstance(value, Decimal):
            return format(value - self.cursor.overlap, "f")
        back = value - dt.timedelta(seconds=float(self.cursor.overlap))
        if _DATE.fullmatch(text):
            return back.strftime("%Y-%m-%d" if "-" in text else "%Y%m%d")
        if dt.datetime.fromisoformat(text).tzinfo is None:
            back = back.replace(tzinfo=None)
        written = back.isoformat(sep=" " if " " in text else "T")
        return written.replace("+00:00", "Z") if text.endswith("Z") else written
