"""The publisher's own visits at the Wi-Fi venues of Hokuriku, and how they relate to the pings.

What the publisher did, found in his scripts (``countuser.js``, ``shrinkData.js`` of code4fukui/mac-address) and
confirmed on the data: within one day file of one venue, a device's pings form one visit as long as the next
ping comes no more than 30 minutes after the last (``t - lastt > dtsec`` starts a new one); the dwell is the last
ping minus the first, and repeated pings change nothing. **Every venue whose day files are all there agrees
exactly**, visit by visit: on the part of the data with venues 23, 24, 27, 34, 43 and 76 all six venues, and
23,159 of 23,159 visits.

Watershed's rule differs in one point: midnight does not end a visit. Joining the published visits of a device
that are no more than 30 minutes apart therefore gives Watershed's visits. Venues 27 and 34 have no visit over
midnight and agree without it; the join leaves 13, 21, 2 and 10 visits fewer at venues 23, 24, 43 and 76
(23,113 in all).

Day files of more than 4 MiB are missing from the snapshot. A venue is complete where each day with a published
visit has pings: a visit begins on the day of its file.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import polars as pl

GAP = dt.timedelta(minutes=30)


class Visit(NamedTuple):
    """A stay of a device at a venue; times are local (Japan)."""

    venue: int
    device: str
    entered_at: dt.datetime
    dwell_seconds: int


@cache
def pings(folder: Path) -> pl.DataFrame:
    """Distinct sightings: venue, device, ts (local), day (of the file)."""
    return (
        pl.read_parquet(folder / "hokuriku_wifi" / "raw_pings.parquet")
        .select(venue=pl.col("facility_no").cast(pl.Int64), device="device", ts="ts", day="file_day")
        .unique()
        .sort("venue", "device", "ts")
    )


@cache
def published_visits(folder: Path) -> frozenset[Visit]:
    """Visits as the publisher gives them."""
    devices = pl.read_parquet(folder / "hokuriku_wifi" / "devices.parquet").select("userid", "user")
    names = dict(devices.iter_rows())
    visits = pl.read_parquet(folder / "hokuriku_wifi" / "visits.parquet")
    result = set()
    for venue, entered, spend, user in visits.select("facility_no", "dt", "spend", "userid").iter_rows():
        moment = dt.datetime.fromisoformat(entered)
        if moment.utcoffset() != dt.timedelta(hours=9):
            raise ValueError(f"a visit at {entered} is not in Japan time")
        hours, minutes, seconds = (int(part) for part in spend.split(":"))
        dwell = hours * 3600 + minutes * 60 + seconds
        result.add(Visit(int(venue), names[user], moment.replace(tzinfo=None), dwell))
    if len(result) != visits.height:
        raise ValueError("the published visits repeat themselves")
    return frozenset(result)


def complete_venues(folder: Path) -> set[int]:
    """Venues where no day file is missing."""
    heard: dict[int, set[str]] = defaultdict(set)
    for venue, day in pings(folder).select("venue", "day").unique().iter_rows():
        heard[venue].add(day)
    visited: dict[int, set[str]] = defaultdict(set)
    for visit in published_visits(folder):
        visited[visit.venue].add(visit.entered_at.strftime("%Y%m%d"))
    return {venue for venue, days in visited.items() if days <= heard[venue]}


def cut_by_publisher(folder: Path) -> set[Visit]:
    """Visits cut from the pings by the publisher's rule, day by day."""
    visits = set()
    for _, stay in pings(folder).group_by("venue", "device", "day"):
        moments = stay["ts"].sort().to_list()
        venue, device = stay["venue"][0], stay["device"][0]
        first = last = moments[0]
        for moment in moments[1:]:
            if moment - last > GAP:
                visits.add(Visit(venue, device, first, int((last - first).total_seconds())))
                first = moment
            last = moment
        visits.add(Visit(venue, device, first, int((last - first).total_seconds())))
    return visits


def joined_over_midnight(visits: Iterable[Visit]) -> set[Visit]:
    """The same stays without the publisher's cut at midnight."""
    joined: list[Visit] = []
    for visit in sorted(visits):
        if joined and joined[-1][:2] == visit[:2]:
            before = joined[-1]
            left_at = before.entered_at + dt.timedelta(seconds=before.dwell_seconds)
            if visit.entered_at - left_at <= GAP:
                end = visit.entered_at + dt.timedelta(seconds=visit.dwell_seconds)
                joined[-1] = before._replace(dwell_seconds=int((end - before.entered_at).total_seconds()))
                continue
        joined.append(visit)
    return set(joined)


def infrastructure(folder: Path, venues: int = 40) -> set[str]:
    """Devices heard at so many venues that they are no visitor."""
    heard = pings(folder).group_by("device").agg(pl.col("venue").n_unique())
    return set(heard.filter(pl.col("venue") >= venues)["device"])
