"""Days of the past, told again: what the history tables need of each day, and nothing else of it."""

import datetime as dt
import json
import shutil
import warnings
from pathlib import Path

import dagster as dg
from dagster_dbt import DbtCliResource

from orchestration.days import HISTORY, daily_partitions, days_between
from orchestration.dbt_arguments import dbt_build, dbt_environment, history_selections
from orchestration.ingestion import entity_key
from orchestration.run_lock import RunLock
from orchestration.warehouse import OWNER, environment
from transforms.contracts import Contracts
from transforms.identity import resolve_identities
from transforms.lake.as_of import last_day_in_lake
from transforms.linkage import profile_linker
from transforms.settings import Settings


def history_asset(settings: Settings, contracts: Contracts, manifest: Path) -> dg.AssetsDefinition:
    """A partition per day: the segments of that day, as a run of that day would have told them.

    Landing and gate are done once, before. Then, day by day in their order: who is who as of that day, because the
    runs of those days knew no more and the next day takes its ids from them; orders, values and segments on top of
    that; their lines in the log. Sessions, visits, journeys, checks and publication wait for the run after it, which
    makes them from the whole past anyway.
    """

    observe, value = history_selections(json.loads(manifest.read_text(encoding="utf-8")))

    # Dagster calls the policy beta and says so to everybody who starts a command.
    warnings.filterwarnings("ignore", message=".*backfill_policy.*", category=dg.BetaWarning)

    @dg.asset(
        key=HISTORY,
        partitions_def=daily_partitions(settings),
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[entity_key(entity) for entity in contracts.entities],
        group_name="history",
        kinds={"dbt", "python"},
        owners=[OWNER],
        description="One partition per day whose segments the history knows. Materialize a range of days to have them"
        " told again; the next daily run publishes them.",
    )
    def segments(context: dg.AssetExecutionContext, dbt: DbtCliResource, run_lock: RunLock) -> dg.MaterializeResult:
        keys = context.partition_key_range
        days = days_between(keys.start, keys.end)
        last = last_day_in_lake(settings, contracts)
        if last is None or days[-1] > last:
            raise dg.Failure(
                f"{days[-1]} is not over in the data: the last complete day is {last}", allow_retries=False
            )
        for number, day in enumerate(days, start=1):
            context.log.info(f"history: {day}, {number}/{len(days)}")
            try:
                _build(settings, dbt, run_lock, manifest, observe, day)
                run_id = f"{context.run_id}-{day}"
                linker = profile_linker(settings, run_id)
                resolve_identities(settings, contracts.phone_regions, day, run_id, linker=linker)
                _build(settings, dbt, run_lock, manifest, value, day)
            except Exception as error:
                stand = f"; the days before it are told, go on from {day}" if number > 1 else ""
                raise dg.Failure(f"{day} failed{stand}: {error}", allow_retries=False) from error
        return dg.MaterializeResult(metadata={"days": len(days)})

    return segments


def _build(
    settings: Settings, dbt: DbtCliResource, run_lock: RunLock, manifest: Path, select: str, day: dt.date
) -> None:
    """Build some models as of a day; their tests wait for the run that publishes."""
    arguments = [*dbt_build(), "--exclude-resource-type", "test", "--select", select]
    with environment(dbt_environment(settings, day)):
        # dbt writes on if this process is killed: whoever comes next waits for it.
        with run_lock.handed_on():
            invocation = dbt.cli(arguments, manifest=manifest, raise_on_error=False)
        invocation.wait()
    if not invocation.is_successful():
        raise invocation.get_error() or RuntimeError("dbt failed")
    shutil.rmtree(invocation.target_path, ignore_errors=True)
