"""One asset per source contract, one per entity of the lake."""

from collections.abc import Iterator, Mapping

import dagster as dg

from orchestration.run_lock import RunLock
from orchestration.warehouse import OWNER
from transforms.contracts import Contracts, Entity, SourceContract
from transforms.lake.freshness import is_fresh
from transforms.lake.generations import drop_former_sources
from transforms.lake.load import LoadReport, load_source, utc_now
from transforms.lake.records import accepted_columns, ensure_empty_batch
from transforms.lake.totals import lake_totals
from transforms.settings import Settings

SOURCES_GROUP = "sources"
LAKE_GROUP = "lake"
LOAD_RECORDS = dg.AssetKey(["lake", "load_records"])


def source_key(source: str) -> dg.AssetKey:
    """Asset key of a source."""
    return dg.AssetKey(["sources", source])


def entity_key(entity: str) -> dg.AssetKey:
    """Asset key of an entity in the lake."""
    return dg.AssetKey(["lake", entity])


def ingestion_assets(settings: Settings, contracts: Contracts) -> list[dg.AssetsDefinition]:
    """Assets from the providers' files to the lake."""
    sources = [_source_asset(settings, contract) for contract in contracts.sources.values()]
    entities = [_entity_asset(settings, contracts, entity) for entity in contracts.entities.values()]
    return [*sources, *entities, _load_records_asset(settings, contracts)]


def _column_schema(entity: Entity) -> dg.TableSchema:
    descriptions = {column.name: column.description for column in entity.columns}
    return dg.TableSchema(
        [dg.TableColumn(name, kind, descriptions.get(name, "")) for name, kind in accepted_columns(entity).items()]
    )


def _source_asset(settings: Settings, contract: SourceContract) -> dg.AssetsDefinition:
    key = source_key(contract.name)

    @dg.asset(
        key=key,
        group_name=SOURCES_GROUP,
        kinds={contract.server.format, "parquet"},
        owners=list(contract.owners),
        description=f"{contract.description}\n\nFeeds {contract.entity.name}; contract {contract.file.name}.",
        metadata={
            "dagster/column_schema": _column_schema(contract.entity),
            "contract": dg.MetadataValue.path(str(contract.file)),
            "contract_version": contract.version,
        },
        check_specs=_check_specs(key, contract),
    )
    def source(context: dg.AssetExecutionContext, run_lock: RunLock) -> dg.MaterializeResult:
        report = load_source(settings, contract, progress=context.log.info)
        return dg.MaterializeResult(
            metadata=_load_metadata(report), check_results=list(_check_results(report, contract))
        )

    return source


def _check_specs(key: dg.AssetKey, contract: SourceContract) -> list[dg.AssetCheckSpec]:
    specs = [
        ("rows_accounted_for", True, "Each row read is accepted, in quarantine or an exact repeat."),
        ("quarantine_below_limit", True, f"At most {contract.block_rate:.1%} of the rows break the contract."),
        ("rows_keep_the_contract", False, f"At most {contract.warn_rate:.1%} of the rows break the contract."),
        ("files_whole", False, "No file was refused as a whole."),
        ("columns_as_agreed", False, "No column is new or missing."),
        ("fresh", False, "The newest file came within the contract's time."),
    ]
    return [dg.AssetCheckSpec(name, asset=key, blocking=blocking, description=text) for name, blocking, text in specs]


def _load_metadata(report: LoadReport) -> Mapping[str, dg.MetadataValue]:
    numbers = {
        "dagster/row_count": report.total("rows_accepted"),
        "files": len(report.records),
        "files_loaded_now": len(report.loaded),
        "rows_loaded_now": report.total("rows_accepted", fresh=True),
        "rows_read": report.total("rows_read"),
        "rows_quarantined": report.total("rows_quarantined"),
        "rows_duplicate": report.total("rows_duplicate"),
        "files_rejected": len(report.rejected),
    }
    return {name: dg.MetadataValue.int(number) for name, number in numbers.items()} | {
        "elapsed_seconds": dg.MetadataValue.float(round(report.elapsed_seconds, 2)),
        "broken_rules": dg.MetadataValue.json(report.reasons),
    }


def _check_results(report: LoadReport, contract: SourceContract) -> Iterator[dg.AssetCheckResult]:
    warn, error = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
    rate = report.worst_quarantine_rate
    refused = [*((record.file, record.reason or "") for record in report.rejected), *report.unreadable.items()]
    yield dg.AssetCheckResult(passed=report.balances, check_name="rows_accounted_for", severity=error)
    yield dg.AssetCheckResult(
        passed=rate <= contract.block_rate,
        check_name="quarantine_below_limit",
        severity=error,
        metadata={"quarantine_rate": rate, "limit": contract.block_rate},
    )
    yield dg.AssetCheckResult(
        passed=rate <= contract.warn_rate,
        check_name="rows_keep_the_contract",
        severity=warn,
        metadata={"quarantine_rate": rate, "limit": contract.warn_rate, "broken_rules_now": report.reasons},
    )
    yield dg.AssetCheckResult(
        passed=not report.rejected and not report.unreadable,
        check_name="files_whole",
        severity=error,
        metadata=dict(refused[:50]),
    )
    yield dg.AssetCheckResult(
        passed=not report.new_columns and not report.absent_columns,
        check_name="columns_as_agreed",
        severity=warn,
        metadata={"new": report.new_columns, "absent": report.absent_columns},
    )
    fresh, reason = is_fresh(report, contract.freshness, utc_now())
    yield dg.AssetCheckResult(
        passed=fresh, check_name="fresh", severity=warn, description=reason, metadata={"location": report.location}
    )


def _entity_asset(settings: Settings, contracts: Contracts, entity: Entity) -> dg.AssetsDefinition:
    @dg.asset(
        key=entity_key(entity.name),
        deps=[source_key(source.name) for source in contracts.sources_of(entity.name)],
        group_name=LAKE_GROUP,
        kinds={"parquet"},
        owners=[OWNER],
        description=f"{entity.description}\n\n{entity.grain}",
        metadata={"dagster/column_schema": _column_schema(entity)},
    )
    def lake_entity(context: dg.AssetExecutionContext, run_lock: RunLock) -> dg.MaterializeResult:
        ensure_empty_batch(settings, entity)
        for former in drop_former_sources(settings, entity, [s.name for s in contracts.sources_of(entity.name)]):
            context.log.warning(f"{former} has no contract for {entity.name} any more: its rows left the lake")
        totals = lake_totals(settings, entity)
        return dg.MaterializeResult(
            metadata={"dagster/row_count": totals.rows_accepted, "files": totals.files, "rows_read": totals.rows_read}
        )

    return lake_entity


def _load_records_asset(settings: Settings, contracts: Contracts) -> dg.AssetsDefinition:
    @dg.asset(
        key=LOAD_RECORDS,
        deps=[source_key(source) for source in contracts.sources],
        group_name=LAKE_GROUP,
        kinds={"parquet"},
        owners=[OWNER],
        description="One row per file: rows read, accepted, quarantined, duplicate, and the reason of a refused file.",
    )
    def load_records(run_lock: RunLock) -> dg.MaterializeResult:
        totals = lake_totals(settings)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": totals.files,
                "rows_read": totals.rows_read,
                "rows_accepted": totals.rows_accepted,
                "rows_quarantined": totals.rows_quarantined,
                "rows_duplicate": totals.rows_duplicate,
            }
        )

    return load_records
