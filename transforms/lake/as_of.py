"""The last day that counts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from zoneinfo import ZoneInfo

import pyarrow.dataset as ds

from transforms.contracts import Contracts
from transforms.lake.landing import received_files
from transforms.lake.records import RECORD, RECORD_SCHEMA
from transforms.settings import Settings


def last_complete_day(occurred: Iterable[dt.datetime], received: Iterable[dt.datetime], zone: str) -> dt.date | None:
    """Last business day in the data that was over when the newest file arrived; None without data.

    ``occurred`` are naive UTC, ``received`` aware. A day whose evening may still be missing would make every figure
    of that day too small.
    """
    newest = max(occurred, default=None)
    arrival = max(received, default=None)
    if newest is None or arrival is None:
        return None
    business = ZoneInfo(zone)
    last_day = newest.replace(tzinfo=dt.UTC).astimezone(business).date()
    return min(last_day, arrival.astimezone(business).date() - dt.timedelta(days=1))


def as_of_date(settings: Settings, contracts: Contracts) -> dt.date | None:
    """The day that the settings name, else the last complete day of the lake; None where the lake is empty."""
    return settings.as_of or last_day_in_lake(settings, contracts)


def last_day_in_lake(settings: Settings, contracts: Contracts) -> dt.date | None:
    """The last complete day of the lake; None where it is empty."""
    files = [str(path) for path in settings.lake.glob(f"*/*/*/{RECORD}")]
    if not files:
        return None
    column = ds.dataset(files, schema=RECORD_SCHEMA).to_table(columns=["last_occurred_at"])["last_occurred_at"]
    received = [file.received_at for source in contracts.sources for file in received_files(settings, source)]
    return last_complete_day(column.drop_null().to_pylist(), received, settings.business_timezone)
