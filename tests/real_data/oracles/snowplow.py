"""Events, sessions and users of the Snowplow sample, and what the vendor's own package makes of them.

The vendor cuts sessions by the tracker's ``domain_sessionid`` alone; Watershed by 30 minutes without an event.
Both agree where the tracker's sessions keep to that rule. They differ by design where

- one session id lasts over days ("long session", "Rotating domain_userid per session", "Unexpired session"),
- two session ids begin or end in the same second ("Multiple first sessions per user", "Multiple last ...").

The vendor also leaves out events that Watershed keeps: sessions longer than its limit, events that arrive more
than three days late, events without session id, and page views without a page view id or with one seen before.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

GAP = dt.timedelta(minutes=30)
TRUSTED_CLOCK = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Event:
    """One event, delivered once or more often; ``occurred_at`` is UTC."""

    event_id: str
    name: str
    occurred_at: dt.datetime
    cookie: str | None
    user: str | None
    session: str | None


def deliveries(folder: Path) -> pl.DataFrame:
    """Rows of the events file as published."""
    return pl.read_parquet(folder / "snowplow_web" / "source" / "snowplow_web_events.parquet")


def events(folder: Path) -> list[Event]:
    """Events, each once.

    Raises:
        ValueError: deliveries with one event id do not have one fingerprint, so they are not one event.
    """
    fingerprints: dict[str, str] = {}
    result: dict[str, Event] = {}
    for row in deliveries(folder).iter_rows(named=True):
        if fingerprints.setdefault(row["event_id"], row["event_fingerprint"]) != row["event_fingerprint"]:
            raise ValueError(f"two events have the id {row['event_id']}")
        created, derived = _moment(row["dvce_created_tstamp"]), _moment(row["derived_tstamp"])
        event = Event(
            event_id=row["event_id"],
            name=row["se_action"] if row["event"] == "struct" else row["event_name"],
            occurred_at=created if abs(created - derived) <= TRUSTED_CLOCK else derived,
            cookie=row["domain_userid"],
            user=None if row["user_id"] == row["app_id"] else row["user_id"],
            session=row["domain_sessionid"],
        )
        if result.setdefault(event.event_id, event) != event:
            raise ValueError(f"two deliveries of {event.event_id} differ in more than their times of delivery")
    return list(result.values())


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def sessions(people: Mapping[str, Hashable], of: Iterable[Event]) -> dict[Hashable, list[list[Event]]]:
    """Sessions of each person: runs of events no more than 30 minutes apart.

    Args:
        people: event id to the person (or cookie) that it belongs to; other events are left out.
        of: events.
    """
    histories: dict[Hashable, list[Event]] = defaultdict(list)
    for event in of:
        if event.event_id in people:
            histories[people[event.event_id]].append(event)
    result: dict[Hashable, list[list[Event]]] = {}
    for person, history in histories.items():
        history.sort(key=lambda event: (event.occurred_at, event.event_id))
        runs = [[history[0]]]
        for event in history[1:]:
            if event.occurred_at - runs[-1][-1].occurred_at > GAP:
                runs.append([])
            runs[-1].append(event)
        result[person] = runs
    return result


def vendor(folder: Path, table: str) -> pl.DataFrame:
    """A table that the vendor's package is expected to give: sessions, users or page_views."""
    return pl.read_parquet(folder / "snowplow_web" / "expected" / f"snowplow_web_{table}_expected.parquet")


def vendor_sessions_by_cookie(folder: Path) -> dict[str, int]:
    """Number of sessions that the vendor counts for each cookie."""
    users = vendor(folder, "users").select("original_domain_userid", pl.col("sessions").cast(pl.Int64))
    return dict(users.iter_rows())


def cookies_with_plain_sessions(of: Iterable[Event]) -> set[str]:
    """Cookies whose own session ids change exactly where 30 minutes pass without an event."""
    known = [event for event in of if event.cookie]
    cookies_of: dict[str | None, set[str | None]] = defaultdict(set)
    for event in known:
        cookies_of[event.session].add(event.cookie)
    cut = sessions({event.event_id: event.cookie for event in known}, known)
    plain = set()
    for cookie, runs in cut.items():
        ids = [{event.session for event in run} for run in runs]
        once = all(len(names) == 1 for names in ids) and len(set().union(*ids)) == len(ids)
        own = all(cookies_of[name] == {cookie} for names in ids for name in names)
        if once and own and None not in set().union(*ids):
            plain.add(str(cookie))
    return plain
