"""Steps that have nothing to do: what they would make is there already, from the same inputs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from graphlib import TopologicalSorter

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from transforms.builds import forget_from, read_inputs, reason_to_build, remember
from transforms.settings import Settings

_DONE = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}
WHY = "nothing that it is made of has changed since the last build"


def is_unchanged(context: dg.AssetExecutionContext, settings: Settings, day: dt.date | None) -> bool:
    """Whether the last build stands as it is; says in the log why not."""
    reason = reason_to_build(settings, read_inputs(settings, day))
    context.log.info(reason or f"{context.assets_def.op.name}: {WHY}")
    return reason is None


def kept(
    context: dg.AssetExecutionContext, rows: dict[str, int] | None = None
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Every selected asset as it is, and every selected check with the result that it has.

    ``rows``: number of rows by output name, for the row counts that Dagster shows.
    """
    wanted = context.selected_asset_keys
    within = {key: sorted(context.assets_def.asset_deps[key] & wanted) for key in sorted(wanted)}
    for key in TopologicalSorter(within).static_order():
        count = (rows or {}).get("__".join(key.path))
        metadata = {"unchanged": WHY, **_columns(context, key)} | (
            {} if count is None else {"dagster/row_count": count}
        )
        yield dg.MaterializeResult(asset_key=key, metadata=metadata)
    yield from _last_results(context)


def _columns(context: dg.AssetExecutionContext, key: dg.AssetKey) -> dict[str, dg.MetadataValue]:
    """What Dagster was told of the asset's columns when it was built; it shows the last materialization alone."""
    event = context.instance.get_latest_materialization_event(key)
    told = event.asset_materialization.metadata if event and event.asset_materialization else {}
    return {name: told[name] for name in ("dagster/column_schema", "dagster/column_lineage") if name in told}


def built_whole(context: dg.AssetExecutionContext) -> bool:
    """Whether all assets and checks of a step were asked for, and not some of them by hand."""
    whole = context.assets_def
    return context.selected_asset_keys == whole.keys and context.selected_asset_check_keys == whole.check_keys


@contextmanager
def building(context: dg.AssetExecutionContext, settings: Settings, day: dt.date | None, step: str) -> Iterator[None]:
    """Around the work of a step: the record of the build holds it again once all of it has ended well."""
    inputs = read_inputs(settings, day)
    forget_from(settings, step)
    yield
    if built_whole(context):
        remember(settings, step, inputs)


def _last_results(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """What the checks of these assets found when there was last something to check."""
    storage = context.instance.event_log_storage
    for key in sorted(context.selected_asset_check_keys):
        # The newest entry is the plan of this very run, which says nothing yet.
        found = storage.get_asset_check_execution_history(key, limit=1, status=_DONE)
        evaluation = found[0].evaluation if found else None
        if evaluation:
            yield dg.AssetCheckResult(
                passed=evaluation.passed,
                asset_key=key.asset_key,
                check_name=key.name,
                severity=evaluation.severity,
                metadata={**evaluation.metadata, "unchanged": WHY},
                description=evaluation.description,
            )
