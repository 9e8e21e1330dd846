"""The dbt project as assets; dbt runs as a subprocess and is the only writer of the warehouse file."""

import datetime as dt
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import dagster as dg
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliInvocation,
    DbtCliResource,
    dbt_assets,
)
from packaging.version import Version
from pydantic import PrivateAttr

from orchestration import dbt_start
from orchestration.days import HISTORY, AsOf
from orchestration.dbt_arguments import READ_BY_IDENTITY, dbt_build, dbt_environment, incremental_models, split_at
from orchestration.dbt_standby import Standby
from orchestration.dbt_start import STANDBY
from orchestration.lineage import column_lineage
from orchestration.retries import wait_for_readers
from orchestration.run_lock import RunLock
from orchestration.unchanged import building, built_whole, is_unchanged, kept
from transforms.builds import plan_increments, read_inputs
from transforms.contracts import Contracts
from transforms.lake.records import accepted_columns
from transforms.publishing import known_build, note_failed, note_passed
from transforms.settings import Settings
from transforms.warehouse import row_counts

OWNER = "team:data-platform"
# Tests on sources are checks too, not mere observations.
TRANSLATOR = DagsterDbtTranslator(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """dbt takes its settings from the environment alone, and Dagster hands it ours."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def warehouse_assets(settings: Settings, contracts: Contracts, manifest: Path) -> list[dg.AssetsDefinition]:
    """Every model, seed and test of the dbt project, in three parts: between them stand identity and value."""
    known = json.loads(manifest.read_text(encoding="utf-8"))
    observe, model, value_marts = split_at(known, READ_BY_IDENTITY, "value")
    return [
        _dbt_step(settings, contracts, known, name, select)
        for name, select in (("observe", observe), ("model", model), ("value_marts", value_marts))
    ]


def _dbt_step(
    settings: Settings, contracts: Contracts, manifest: Mapping[str, Any], name: str, select: str
) -> dg.AssetsDefinition:
    def build(
        context: dg.AssetExecutionContext, dbt: DbtCliResource, run_lock: RunLock, day: dt.date | None
    ) -> Iterator[Any]:
        context.log.info(f"dbt {name}: as of {day}")
        known_before = known_build(settings)
        with environment(dbt_environment(settings, day, _planned_increments(context, settings, manifest, day))):
            # dbt writes on if this process is killed: whoever comes next waits for it too.
            with run_lock.handed_on():
                invocation = dbt.cli(dbt_build(), context=context, raise_on_error=False)
            events = list(_followed(invocation, context))
            failure = None if invocation.is_successful() else invocation.get_error() or RuntimeError("dbt failed")
        if failure and (again := wait_for_readers(failure, settings, context.retry_number)):
            context.log.warning(f"{settings.warehouse} is open elsewhere; another try in {again.seconds_to_wait:.0f} s")
            raise again from failure
        # Only now is the file free: rows can be counted, and the events leave with them.
        counts = {"__".join(table): rows for table, rows in row_counts(settings.warehouse).items()}
        known = {("lake", entity.name): accepted_columns(entity) for entity in contracts.entities.values()}
        lineage = column_lineage(manifest, invocation.target_path, TRANSLATOR, known, settings.lake)
        origins = {key.to_python_identifier(): columns for key, columns in lineage.items()}
        for event in events:
            if isinstance(event, dg.Output):
                metadata = {
                    "dagster/row_count": counts.get(event.output_name),
                    "dagster/column_lineage": origins.get(event.output_name),
                }
                context.add_output_metadata(
                    {name: value for name, value in metadata.items() if value is not None}, event.output_name
                )
            yield event
        if failure:
            note_failed(settings)
            raise failure
        is_whole = built_whole(context)
        note_passed(settings, known_before, name, is_whole, day, context.run_id)
        if name == "model" and is_whole and day:
            context.log_event(dg.AssetMaterialization(HISTORY, partition=day.isoformat()))
        # Logs and compiled SQL of a run that went well are 10 MB that nobody reads.
        shutil.rmtree(invocation.target_path, ignore_errors=True)

    @dbt_assets(manifest=manifest, name=name, select=select, dagster_dbt_translator=TRANSLATOR)
    def step(context: dg.AssetExecutionContext, dbt: DbtCliResource, run_lock: RunLock, as_of: AsOf) -> Iterator[Any]:
        day = as_of.date(settings, contracts)
        if is_unchanged(context, settings, day):
            yield from kept(context, {"__".join(table): rows for table, rows in row_counts(settings.warehouse).items()})
            return
        with building(context, settings, day, name):
            yield from build(context, dbt, run_lock, day)

    return step


def _planned_increments(
    context: dg.AssetExecutionContext, settings: Settings, manifest: Mapping[str, Any], day: dt.date | None
) -> Path | None:
    """Folder of the plan of what the incremental models may keep; None where there is no day to build for."""
    if day is None:
        return None
    folder = settings.home / "dbt" / "increments"
    plan = plan_increments(settings, incremental_models(manifest), read_inputs(settings, day), day, folder)
    for model, steps in plan.items():
        context.log.debug(f"{model}: " + ", ".join(f"{entity} {step}" for entity, step in steps.items()))
    return folder


def _followed(invocation: DbtCliInvocation, context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Events of a dbt process as they come, with a line for each model built."""
    total = len(context.selected_asset_keys)
    built = 0
    for event in invocation.stream():
        if isinstance(event, dg.Output):
            built += 1
            context.log.info(f"dbt: {built}/{total} {event.output_name.replace('__', '.')}")
        yield event


class DbtProcess(DbtCliResource):
    """dbt as a fork of a standby process, and nothing beside it.

    Dagster would start dbt once more to ask for its version, and load the project's macros into this process for a
    connection of its own, through which we ask for nothing: four seconds of each run.
    """

    _standby: Standby | None = PrivateAttr(default=None)

    @cached_property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        return None

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """With the in-process executor a resource lives as long as its run, and so does the standby."""
        with Standby() as standby:
            self._standby = standby
            yield self

    def cli(self, args: Sequence[str], **named: Any) -> DbtCliInvocation:
        """Start dbt; see ``DbtCliResource.cli``."""
        # Somebody's own standby serves too.
        place = os.environ.get(STANDBY) or (self._standby.place() if self._standby else "")
        with environment({STANDBY: place}):
            return super().cli(args, **named)


def dbt_resource(settings: Settings) -> DbtCliResource:
    """dbt command line over the project that ships with the platform."""
    project = str(settings.dbt_project)
    # Our own start of dbt, by an interpreter that looks for nothing beside the standard library.
    start = {"dbt_executable": sys.executable, "global_config_flags": ["-I", "-S", dbt_start.__file__]}
    return DbtProcess(project_dir=project, profiles_dir=project, **start)
