"""The readers' file as an asset, behind every model and its blocking checks, and the page for people beside it."""

from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import dagster as dg

from orchestration.days import AsOf
from orchestration.run_lock import RunLock
from orchestration.unchanged import WHY, building, is_unchanged
from orchestration.warehouse import OWNER
from transforms.contracts import Contracts
from transforms.publishing import PublicationError, PublicationHeld, checked_build, publish, read_plan
from transforms.publishing.report import write_report
from transforms.publishing.report.value import write_value_report
from transforms.settings import Settings

PUBLISHED = dg.AssetKey(["published", "customer360"])
REPORT = dg.AssetKey(["published", "report"])


def publication_assets(
    settings: Settings, contracts: Contracts, manifest: Path, marts: Iterable[dg.AssetKey]
) -> list[dg.AssetsDefinition]:
    """Publication after all marts, and its report."""
    return [_publication_asset(settings, contracts, manifest, marts), _report_asset(settings)]


def _publication_asset(
    settings: Settings, contracts: Contracts, manifest: Path, marts: Iterable[dg.AssetKey]
) -> dg.AssetsDefinition:
    @dg.asset(
        key=PUBLISHED,
        deps=list(marts),
        group_name="publication",
        kinds={"duckdb"},
        owners=[OWNER],
        description="The file that BI tools, notebooks and SQL clients open: the marts without personal data.",
        metadata={"path": dg.MetadataValue.path(str(settings.published))},
    )
    def customer360(context: dg.AssetExecutionContext, run_lock: RunLock, as_of: AsOf) -> dg.MaterializeResult:
        day = as_of.date(settings, contracts)
        if is_unchanged(context, settings, day):
            return dg.MaterializeResult(metadata={"unchanged": WHY})
        try:
            build = checked_build(settings)
            plan = read_plan(manifest, contracts.may_leave)
            with building(context, settings, day, "publication"):
                report = publish(settings, plan, build, version("watershed-cdp"), context.log.info)
        except PublicationHeld as held:
            raise dg.Failure(
                str(held),
                metadata={"held": list(held.held.findings), "confirm": held.held.fingerprint},
                allow_retries=False,
            ) from None
        except PublicationError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        for warning in report.warnings:
            context.log.warning(warning)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(report.tables.values()),
                "tables": report.tables,
                "withheld_columns": {table: list(names) for table, names in report.withheld.items() if names},
                "size_bytes": report.size_bytes,
                "elapsed_seconds": round(report.seconds, 2),
                "as_of_date": report.as_of_date.isoformat(),
                "fingerprint": report.fingerprint,
            }
        )

    return customer360


def _report_asset(settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        key=REPORT,
        deps=[PUBLISHED],
        group_name="publication",
        kinds={"html"},
        owners=[OWNER],
        description="Pages for people: one on segments, journey, channels and the quality of the data behind them,"
        " one on customer value and how good its forecast is.",
    )
    def report(run_lock: RunLock) -> dg.MaterializeResult:
        pages = write_report(settings)
        value = write_value_report(settings)
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.url(pages.latest.as_uri()),
                "value_page": dg.MetadataValue.url(value.latest.as_uri()),
                "path": dg.MetadataValue.path(str(pages.latest)),
                "kept_as": dg.MetadataValue.path(str(pages.kept)),
            }
        )

    return report
