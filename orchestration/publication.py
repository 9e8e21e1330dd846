"""The readers' file as an asset, behind every model and its blocking checks."""

from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import dagster as dg

from orchestration.run_lock import RunLock
from orchestration.unchanged import WHY, building, is_unchanged
from orchestration.warehouse import OWNER
from transforms.contracts import Contracts
from transforms.lake.as_of import as_of_date
from transforms.publishing import publish, read_plan
from transforms.settings import Settings

PUBLISHED = dg.AssetKey(["published", "customer360"])


def publication_asset(
    settings: Settings, contracts: Contracts, manifest: Path, marts: Iterable[dg.AssetKey]
) -> dg.AssetsDefinition:
    """Publication after all marts."""

    @dg.asset(
        key=PUBLISHED,
        deps=list(marts),
        group_name="publication",
        kinds={"duckdb"},
        owners=[OWNER],
        description="The file that BI tools, notebooks and SQL clients open: the marts without personal data.",
        metadata={"path": dg.MetadataValue.path(str(settings.published))},
    )
    def customer360(context: dg.AssetExecutionContext, run_lock: RunLock) -> dg.MaterializeResult:
        day = as_of_date(settings, contracts)
        if day is None:
            raise dg.Failure("the lake is empty: there is nothing to publish")
        if is_unchanged(context, settings, day):
            return dg.MaterializeResult(metadata={"unchanged": WHY})
        plan = read_plan(manifest, contracts.may_leave)
        with building(context, settings, day, "publication"):
            report = publish(settings, plan, context.run_id, day, version("watershed-cdp"), context.log.info)
        for warning in report.warnings:
            context.log.warning(warning)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(report.tables.values()),
                "tables": report.tables,
                "withheld_columns": {table: list(names) for table, names in report.withheld.items() if names},
                "size_bytes": report.size_bytes,
                "elapsed_seconds": round(report.seconds, 2),
                "as_of_date": day.isoformat(),
            }
        )

    return customer360
