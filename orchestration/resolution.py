"""Identity as assets: between the models that observe identifiers and those that use customers."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from orchestration.days import AsOf
from orchestration.dbt_arguments import READ_BY_IDENTITY
from orchestration.run_lock import RunLock
from orchestration.unchanged import building, is_unchanged, kept
from orchestration.warehouse import OWNER
from transforms.contracts import Contracts
from transforms.identity import IdentityHeld, OverrideError, PolicyError, resolve_identities
from transforms.identity.store import SCHEMAS
from transforms.linkage import profile_linker
from transforms.settings import Settings

CHECK = "no_component_explodes"
CLUSTERS = dg.AssetKey(["identity", "clusters"])
INPUTS = [dg.AssetKey(["intermediate", model]) for model in sorted(READ_BY_IDENTITY)]
TABLES = {
    "assignments": "One row per distinct set of identifiers seen in a record: the customer it belongs to.",
    "identifiers": "One row per identifier: its customer, or why it has none (blocked, contested, weak).",
    "aliases": "One row per customer id that was merged into another.",
    "edges": "One row per pair of identifiers that stand in one record, or that a link joins.",
    "clusters": "One row per customer: how much holds it together.",
    "refusals": "One row per identifier and customer, or link, that the policy or people refused, with the reason.",
    "quality": "One row per day and figure: sizes, merges, splits, churn, contested values, disagreeing names.",
    "history": "One row per id ever given and interval of days: whom it stood for.",
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
                deps=INPUTS,
                group_name="identity",
                kinds={"python", "parquet"},
                owners=[OWNER],
                description=text,
                metadata={"dagster/column_schema": _column_schema(table)},
            )
            for table, text in TABLES.items()
        ],
        check_specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=["identity", "clusters"],
                blocking=True,
                description="Largest customer, share of customers merged and share of records that changed their"
                " customer in this run are within their bounds; else the identities of the last run stay.",
            )
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
            try:
                linker = profile_linker(settings, context.run_id, context.log.info)
                report = resolve_identities(
                    settings, contracts.phone_regions, day, context.run_id, context.log.info, linker=linker
                )
            except IdentityHeld as held:
                yield dg.AssetCheckResult(passed=False, check_name=CHECK, asset_key=CLUSTERS, description=str(held))
                raise dg.Failure(str(held), allow_retries=False) from None
            except (PolicyError, OverrideError) as error:
                raise dg.Failure(str(error), allow_retries=False) from error
        for remark in report.remarks:
            context.log.warning(remark)
        figures = report.metadata()
        for table in TABLES:
            yield dg.MaterializeResult(asset_key=["identity", table], metadata=figures)
        judged = {name: value for name, value in report.quality.items() if value is not None}
        yield dg.AssetCheckResult(passed=True, check_name=CHECK, asset_key=CLUSTERS, metadata=judged)

    return identity
