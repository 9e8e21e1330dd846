"""When things run: the daily job, its schedule, the sensor for new files. Both start switched off."""

from __future__ import annotations

from typing import Any, TypeAlias

import dagster as dg

from orchestration.days import HISTORY
from transforms.contracts import Contracts
from transforms.settings import Settings
from transforms.sources.files import listing_digest

DAILY = "daily"
BACKFILL = "backfill"
# define_asset_job returns it, dagster does not export its name.
AssetJob: TypeAlias = Any


def daily_job() -> AssetJob:
    """Everything, in the order of the graph."""
    return dg.define_asset_job(
        DAILY,
        selection=dg.AssetSelection.all() - dg.AssetSelection.assets(HISTORY),
        description="Pull, gate, resolve identities, build the marts, publish.",
        tags={"watershed/job": DAILY},
    )


def backfill_job() -> AssetJob:
    """Past days, told again: what they rest on once, then each day of the range in one run."""
    return dg.define_asset_job(
        BACKFILL,
        selection=dg.AssetSelection.assets(HISTORY).upstream(),
        description="Pull and gate once, then tell the history tables the segments of each day of a range."
        " The next daily run publishes them.",
        tags={"watershed/job": BACKFILL},
    )


def daily_schedule(settings: Settings, job: AssetJob) -> dg.ScheduleDefinition:
    """Each night, when the business day is over and the night's deliveries have come."""
    return dg.ScheduleDefinition(
        name="every_night",
        job=job,
        cron_schedule="0 3 * * *",
        execution_timezone=settings.business_timezone,
        description="Runs the daily job at 03:00 in the business time zone.",
    )


def new_files_sensor(settings: Settings, contracts: Contracts, job: AssetJob) -> dg.SensorDefinition:
    """Run as soon as a source's folder changes; one run for all files that came together."""

    @dg.sensor(
        name="new_files",
        job=job,
        minimum_interval_seconds=60,
        description="Starts the daily job when files come or grow in the sources' folders.",
    )
    def new_files(context: Any) -> dg.SensorResult | dg.SkipReason:
        digest = listing_digest(contracts.sources.values(), settings)
        if digest == context.cursor:
            return dg.SkipReason("no file has come or grown")
        return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=digest)

    return new_files
