"""One asset per source contract, one per entity of the lake."""

from collections.abc import Iterator, Mapping

import dagster as dg

from orchestration.monitoring import freshness
from orchestration.quality import dataset_check_result, dataset_check_spec
from orchestration.retries import ask_again
from orchestration.run_lock import RunLock
from orchestration.warehouse import OWNER
from transforms.contracts import Contracts, Entity, SourceContract
from transforms.lake.checks import check_load, check_specs
from transforms.lake.generations import drop_former_sources
from transforms.lake.load import LoadReport, load_source, utc_now
from transforms.lake.quarantine import list_quarantine
from transforms.lake.records import QUARANTINE_COLUMNS, RECORD_SCHEMA, accepted_columns, ensure_empty_batch
from transforms.lake.totals import lake_totals
from transforms.settings import Settings

SOURCES_GROUP = "sources"
LAKE_GROUP = "lake"
LOAD_RECORDS = dg.AssetKey(["lake", "load_records"])
QUARANTINE = dg.AssetKey(["lake", "quarantine"])


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
    return [*sources, *entities, _load_records_asset(settings, contracts), _quarantine_asset(settings, contracts)]


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
        owners=list(contract.owners) or [OWNER],
        freshness_policy=freshness([contract]),
        description=f"{contract.description}\n\nFeeds {contract.entity.name}; contract {contract.file.name}.",
        metadata={
            "dagster/column_schema": _column_schema(contract.entity),
            "contract": dg.MetadataValue.path(str(contract.file)),
            "contract_version": contract.version,
        },
        check_specs=[*_check_specs(key, contract), dataset_check_spec(key)],
    )
    def source(context: dg.AssetExecutionContext, run_lock: RunLock) -> dg.MaterializeResult:
        report = load_source(settings, contract, progress=context.log.info)
        if again := ask_again(report, settings, context.retry_number):
            (reason, *_) = report.unreadable.values()
            context.log.warning(f"{contract.name}: {reason}; another try in {again.seconds_to_wait:.0f} s")
            raise again
        results = [*_check_results(report, contract), dataset_check_result(settings, contract, report)]
        return dg.MaterializeResult(metadata=_load_metadata(report), check_results=results)

    return source


def _check_specs(key: dg.AssetKey, contract: SourceContract) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(spec.name, asset=key, blocking=spec.blocks, description=spec.description)
        for spec in check_specs(contract)
    ]


def _load_metadata(report: LoadReport) -> Mapping[str, dg.MetadataValue]:
    numbers = {
        "dagster/row_count": report.total("rows_accepted"),
        "files": len(report.records),
        "files_loaded_now": len(report.loaded),
        "rows_loaded_now": report.total("rows_accepted", fresh=True),
        "rows_read": report.total("rows_read"),
        "rows_quarantined": report.total("rows_quarantined"),
        "rows_duplicate": report.total("rows_duplicate"),
        "rows_released": report.total("rows_released"),
        "rows_replaced": report.total("rows_replaced"),
        "rows_deleted": report.total("rows_deleted"),
        "files_rejected": len(report.rejected),
        "files_held": len(report.held),
    }
    return {name: dg.MetadataValue.int(number) for name, number in numbers.items()} | {
        "elapsed_seconds": dg.MetadataValue.float(round(report.elapsed_seconds, 2)),
        "broken_rules": dg.MetadataValue.json(report.reasons),
    }


def _check_results(report: LoadReport, contract: SourceContract) -> Iterator[dg.AssetCheckResult]:
    for result in check_load(report, contract, utc_now()):
        yield dg.AssetCheckResult(
            passed=result.passed,
            check_name=result.name,
            severity=dg.AssetCheckSeverity.ERROR if result.is_error else dg.AssetCheckSeverity.WARN,
            description=result.text or None,
            metadata=dict(result.found),
        )


def _entity_asset(settings: Settings, contracts: Contracts, entity: Entity) -> dg.AssetsDefinition:
    @dg.asset(
        key=entity_key(entity.name),
        deps=[source_key(source.name) for source in contracts.sources_of(entity.name)],
        group_name=LAKE_GROUP,
        kinds={"parquet"},
        owners=[OWNER],
        freshness_policy=freshness(contracts.sources_of(entity.name)),
        description=f"{entity.description}\n\n{entity.grain}",
        metadata={"dagster/column_schema": _column_schema(entity)},
    )
    def lake_entity(context: dg.AssetExecutionContext, run_lock: RunLock) -> dg.MaterializeResult:
        ensure_empty_batch(settings, entity)
        for former in drop_former_sources(settings, entity, [s.name for s in contracts.sources_of(entity.name)]):
            context.log.warning(f"{former} has no contract for {entity.name} any more: its rows left the lake")
        totals = lake_totals(settings, entity)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": totals.rows_current,
                "files": totals.files,
                "rows_read": totals.rows_read,
                "rows_replaced": totals.rows_replaced,
                "rows_deleted": totals.rows_deleted,
            }
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
        metadata={"dagster/column_schema": _RECORD_COLUMNS},
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


def _quarantine_asset(settings: Settings, contracts: Contracts) -> dg.AssetsDefinition:
    @dg.asset(
        key=QUARANTINE,
        deps=[source_key(source) for source in contracts.sources],
        group_name=LAKE_GROUP,
        kinds={"parquet"},
        owners=[OWNER],
        description="One row per record that waits in quarantine; `watershed quarantine` lists, shows and releases.",
        metadata={"dagster/column_schema": _QUARANTINE_COLUMNS},
    )
    def quarantine(run_lock: RunLock) -> dg.MaterializeResult:
        waiting = [item for source in contracts.sources.values() for item in list_quarantine(settings, source)]
        largest = sorted(waiting, key=lambda item: -item.rows)[:50]
        records = [
            dg.TableRecord(
                {
                    "source": item.source,
                    "reasons": item.reasons,
                    "rows": item.rows,
                    "files": item.files,
                    "since": item.oldest.isoformat(sep=" ", timespec="seconds"),
                    "example": f"{item.example[0]}, row {item.example[1]}",
                }
            )
            for item in largest
        ]
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(item.rows for item in waiting),
                "waiting": dg.MetadataValue.table(records, schema=_WAITING),
            }
        )

    return quarantine


_RECORD_COLUMNS = dg.TableSchema([dg.TableColumn(field.name, str(field.type)) for field in RECORD_SCHEMA])
_QUARANTINE_COLUMNS = dg.TableSchema([dg.TableColumn(name, kind) for name, kind in QUARANTINE_COLUMNS.items()])
_WAITING = dg.TableSchema(
    [
        dg.TableColumn("source"),
        dg.TableColumn("reasons"),
        dg.TableColumn("rows", "int"),
        dg.TableColumn("files", "int"),
        dg.TableColumn("since"),
        dg.TableColumn("example"),
    ]
)
