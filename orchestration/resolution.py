"""Identity as assets: between the models that observe identifiers and those that use customers."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from orchestration.days import AsOf
from orchestration.run_lock import RunLock
from orchestration.unchanged import building, is_unchanged, kept
from orchestration.warehouse import OWNER
from transforms.contracts import Contracts
from transforms.identity import resolve_identities
from transforms.identity.store import SCHEMAS
from transforms.settings import Settings

OBSERVATIONS = dg.AssetKey(["intermediate", "int_identity_observations"])
TABLES = {
    "assignments": "One row per distinct set of identifiers seen in a record: the customer it belongs to.",
    "identifiers": "One row per identifier: its customer, or why it has none (blocked, contested, weak).",
    "aliases": "One row per customer id that was merged into another.",
}


def _column_schema(table: str) -> dg.TableSchema:
    return dg.TableSchema([dg.TableColumn(name, kind) for name, kind in SCHEMAS[table].items()])


def identity_assets(settings: Settings, contracts: Contracts) -> dg.AssetsDefinition:
    """One step that writes all identity tables together."""

    @dg.multi_asset(
        name="identity",
        specs=[
            dg.AssetSpec(
                ["identity", table],
                deps=[OBSERVATIONS],
                group_name="identity",
                kinds={"python", "parquet"},
                owners=[OWNER],
                description=text,
                metadata={"dagster/column_schema": _column_schema(table)},
            )
            for table, text in TABLES.items()
        ],
    )
    def identity(context: dg.AssetExecutionContext, run_lock: RunLock, as_of: AsOf) -> Iterator[Any]:
        day = as_of.date(settings, contracts)
        if day is None:
            raise dg.Failure("the lake is empty: no source has delivered a row that keeps its contract")
        if is_unchanged(context, settings, day):
            yield from kept(context)
            return
        with building(context, settings, day, "identity"):
            report = resolve_identities(settings, contracts.phone_regions, day, context.run_id, context.log.info)
        for remark in report.remarks:
            context.log.warning(remark)
        figures = report.metadata()
        for table in TABLES:
            yield dg.MaterializeResult(asset_key=["identity", table], metadata=figures)

    return identity
