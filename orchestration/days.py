"""The day that a run looks at: given by the run, by the settings, or by the data."""

from __future__ import annotations

import datetime as dt

import dagster as dg
from pydantic import Field

from transforms.contracts import Contracts
from transforms.lake.as_of import as_of_date
from transforms.settings import Settings

# The days that the history tables have been told about; each run tells of one, a backfill of many.
HISTORY = dg.AssetKey(["history", "segments"])
FIRST_DAY = "2000-01-01"


class AsOf(dg.ConfigurableResource):
    """Parameter of a run: in the launchpad ``resources: {as_of: {config: {day: "2025-03-31"}}}``.

    Without it the setting WATERSHED_AS_OF counts, and without that the last complete day of the data.
    """

    day: str | None = Field(default=None, description="Last day that counts, as 2025-03-31; default the last complete.")

    def date(self, settings: Settings, contracts: Contracts) -> dt.date | None:
        """The day; None where nobody names one and the lake is empty.

        Raises:
            Failure: what the run was given is no day.
        """
        if self.day is None:
            return as_of_date(settings, contracts)
        try:
            return dt.date.fromisoformat(self.day)
        except ValueError:
            raise dg.Failure(f"as_of: {self.day!r} is no day; write it as 2025-03-31", allow_retries=False) from None


def daily_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """A partition for each business day that is over."""
    return dg.DailyPartitionsDefinition(start_date=FIRST_DAY, timezone=settings.business_timezone)


def days_between(first: str, last: str) -> list[dt.date]:
    """All days of a range of partition keys, in order: customers keep their ids from one day to the next."""
    start, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    return [start + dt.timedelta(number) for number in range((end - start).days + 1)]
