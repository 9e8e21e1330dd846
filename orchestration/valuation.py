"""Customer value as assets: between the models that know purchase days and the marts that show what is expected."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from orchestration.days import AsOf
from orchestration.run_lock import RunLock
from orchestration.unchanged import building, is_unchanged, kept
from orchestration.warehouse import OWNER
from transforms.contracts import Contracts
from transforms.settings import Settings
from transforms.value import SCHEMAS, forecast_value

PURCHASES = (
    dg.AssetKey(["intermediate", "int_customer_purchase_days"]),
    dg.AssetKey(["intermediate", "int_customer_value"]),
)
TABLES = {
    "predictions": "One row per customer with a purchase ever: expected purchases and value, or why there are none.",
    "model_runs": "One row per model that the run knows: parameters, diagnostics, and whether it was taken.",
    "backtest_metrics": "One row per forecast: its errors over the days that were held out.",
    "calibration_by_x": "Forecast and outcome of the holdout by number of purchases before it.",
    "calibration_by_decile": "Forecast and outcome of the holdout by tenth of the customers.",
    "tracking_weekly": "Purchases of each week, and those that the models expected.",
}
FIT_CHECK = "fit_is_sound"


def value_assets(settings: Settings, contracts: Contracts) -> dg.AssetsDefinition:
    """One step that writes all value tables together."""

    @dg.multi_asset(
        name="value",
        specs=[
            dg.AssetSpec(
                ["value", table],
                deps=PURCHASES,
                group_name="value",
                kinds={"python", "parquet"},
                owners=[OWNER],
                description=text,
                metadata={
                    "dagster/column_schema": dg.TableSchema(
                        [dg.TableColumn(name, kind) for name, kind in SCHEMAS[table].items()]
                    )
                },
            )
            for table, text in TABLES.items()
        ],
        check_specs=[
            dg.AssetCheckSpec(
                FIT_CHECK,
                asset=dg.AssetKey(["value", "model_runs"]),
                blocking=False,
                description="The purchase model passed its diagnostics, and no plain rule did better.",
            )
        ],
    )
    def value(context: dg.AssetExecutionContext, run_lock: RunLock, as_of: AsOf) -> Iterator[Any]:
        day = as_of.date(settings, contracts)
        if day is None:
            raise dg.Failure("the lake is empty: no source has delivered a row that keeps its contract")
        if is_unchanged(context, settings, day):
            yield from kept(context)
            return
        with building(context, settings, day, "value"):
            report = forecast_value(settings, day, context.run_id, context.log.info)
        for table in TABLES:
            yield dg.MaterializeResult(asset_key=["value", table], metadata=report.metadata())
        yield dg.AssetCheckResult(
            passed=report.is_sound,
            asset_key=["value", "model_runs"],
            check_name=FIT_CHECK,
            severity=dg.AssetCheckSeverity.WARN,
            description=report.finding,
            metadata=report.metadata(),
        )

    return value
