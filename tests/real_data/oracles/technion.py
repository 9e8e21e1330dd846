"""Service figures of the Technion call log, call by call."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

NOT_HAPPENED = "0:00:00"
ISRAEL = ZoneInfo("Asia/Jerusalem")

# Line of the voice response unit, number of the call on the line, date.
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Call:
    """One call of the log. ``wait`` and ``talk`` are seconds, None where there was no queue or no service."""

    key: Key
    customer: str | None
    kind: str
    outcome: str
    started_at: dt.datetime
    wait: int | None
    talk: int | None

    @property
    def answered(self) -> bool:
        """True where the call went to an agent."""
        return self.outcome == "AGENT"

    @property
    def queued(self) -> bool:
        """True where the call was in the queue, be it for less than a second."""
        return self.wait is not None


@dataclass(frozen=True)
class ServiceFigures:
    """Counts and means of a set of calls, phantoms left out; seconds."""

    calls: int
    queued: int
    answered: int
    answered_queued: int
    answered_within_20: int
    answered_queued_within_20: int
    abandoned: int
    abandoned_queued: int
    short_abandons: int
    asa_all_answered: float
    asa_waited: float
    handled: int
    handles_excluded: int
    mean_handle: float
    identified: int
    repeat_contacts: int


def calls(folder: Path) -> list[Call]:
    """All calls of the log, phantoms included, in the order of their start."""
    rows = pl.read_parquet(folder / "technion_calls" / "calls_august.parquet").iter_rows(named=True)
    return sorted((_call(row) for row in rows), key=lambda call: (call.started_at, call.key))


def _call(row: dict[str, str]) -> Call:
    hour, minute, second = (int(part) for part in row["vru_entry"].split(":"))
    day = dt.date.fromisoformat(row["date"])
    started = dt.datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=ISRAEL)
    queued = (row["q_start"], row["q_exit"]) != (NOT_HAPPENED, NOT_HAPPENED)
    served = row["outcome"] == "AGENT" and (row["ser_start"], row["ser_exit"]) != (NOT_HAPPENED, NOT_HAPPENED)
    return Call(
        key=(row["vru+line"], row["call_id"], row["date"]),
        customer=None if row["customer_id"] == "0" else row["customer_id"],
        kind=row["type"],
        outcome=row["outcome"],
        started_at=started,
        wait=int(row["q_time"]) if queued else None,
        talk=int(row["ser_time"]) if served else None,
    )


def figures(log: Iterable[Call]) -> ServiceFigures:
    """Service figures of the log without phantoms; ``asa_all_answered`` takes no queue for a wait of zero."""
    real = [call for call in log if call.outcome != "PHANTOM"]
    answered = [call for call in real if call.answered]
    hung_up = [call for call in real if call.outcome == "HANG"]
    waited = [call.wait for call in answered if call.wait is not None]
    talks = [call.talk for call in answered if call.talk is not None]
    handled = [talk for talk in talks if 0 <= talk <= 3600]
    return ServiceFigures(
        calls=len(real),
        queued=sum(call.queued for call in real),
        answered=len(answered),
        answered_queued=len(waited),
        answered_within_20=sum((call.wait or 0) <= 20 for call in answered),
        answered_queued_within_20=sum(wait <= 20 for wait in waited),
        abandoned=len(hung_up),
        abandoned_queued=sum(call.queued for call in hung_up),
        short_abandons=sum(call.wait is not None and call.wait < 10 for call in hung_up),
        asa_all_answered=sum(waited) / len(answered),
        asa_waited=sum(waited) / len(waited),
        handled=len(handled),
        handles_excluded=len(talks) - len(handled),
        mean_handle=sum(handled) / len(handled),
        identified=sum(call.customer is not None for call in real),
        repeat_contacts=len(repeat_contacts(real)),
    )


def repeat_contacts(log: Iterable[Call]) -> set[Key]:
    """Keys of calls whose identified customer had already called in the 24 hours before."""
    repeats = set()
    for history in _histories(log).values():
        for earlier, later in pairwise(history):
            if later.started_at - earlier.started_at <= dt.timedelta(hours=24):
                repeats.add(later.key)
    return repeats


def first_contact_resolutions(log: Iterable[Call]) -> dict[Key, bool]:
    """Answered calls of identified customers: whether none on the same reason followed within 7 days."""
    resolved = {}
    for history in _histories(log).values():
        for index, call in enumerate(history):
            if call.answered:
                later = [other for other in history[index + 1 :] if other.kind == call.kind]
                resolved[call.key] = all(other.started_at - call.started_at > dt.timedelta(days=7) for other in later)
    return resolved


def _histories(log: Iterable[Call]) -> dict[str, list[Call]]:
    by_customer: dict[str, list[Call]] = defaultdict(list)
    for call in sorted(log, key=lambda call: (call.started_at, call.key)):
        if call.customer is not None and call.outcome != "PHANTOM":
            by_customer[call.customer].append(call)
    return by_customer
