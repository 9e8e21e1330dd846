"""Where the outcomes of value runs lie: ``<lake>/value/runs/<run>``; ``current`` names the one that holds.

A reader sees the old outcome or the new (:mod:`transforms.run_folders`). Nothing is remembered from run to run: an
outcome is a function of the purchase days that it read. Parameters lie in ``models.json`` beside the tables, as numbers
that any program reads, never as a pickle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from transforms.run_folders import RunFolders, no_rows, write_rows
from transforms.settings import Settings

SCHEMAS: dict[str, dict[str, str]] = {
    "predictions": {
        "customer_id": "VARCHAR",
        "predicted_orders": "DOUBLE",
        "predicted_orders_low": "DOUBLE",
        "predicted_orders_high": "DOUBLE",
        "likely_orders_low": "BIGINT",
        "likely_orders_high": "BIGINT",
        "expected_order_value_amount": "DECIMAL(18,2)",
        "predicted_clv_amount": "DECIMAL(18,2)",
        "predicted_clv_low_amount": "DECIMAL(18,2)",
        "predicted_clv_high_amount": "DECIMAL(18,2)",
        "predicted_orders_30": "DOUBLE",
        "predicted_orders_90": "DOUBLE",
        "predicted_orders_365": "DOUBLE",
        "predicted_clv_30_amount": "DECIMAL(18,2)",
        "predicted_clv_90_amount": "DECIMAL(18,2)",
        "predicted_clv_365_amount": "DECIMAL(18,2)",
        "predicted_net_revenue_amount": "DECIMAL(18,2)",
        "margin_setting": "DOUBLE",
        "p_alive": "DOUBLE",
        "p_buy_30": "DOUBLE",
        "p_buy_90": "DOUBLE",
        "p_buy_365": "DOUBLE",
        "expected_next_order_date": "DATE",
        "horizon_days": "BIGINT",
        "model": "VARCHAR",
        "propensity_model": "VARCHAR",
        "spend_model": "VARCHAR",
        "fit_status": "VARCHAR",
        "fallback_reason": "VARCHAR",
    },
    "model_runs": {
        "as_of_date": "DATE",
        "part": "VARCHAR",
        "model": "VARCHAR",
        "currency": "VARCHAR",
        "role": "VARCHAR",
        "fit_status": "VARCHAR",
        "reason": "VARCHAR",
        "customers": "BIGINT",
        "repeat_customers": "BIGINT",
        "first_date": "DATE",
        "history_days": "BIGINT",
        "log_likelihood": "DOUBLE",
        "gradient_norm": "DOUBLE",
        "hessian_condition": "DOUBLE",
        "starts": "BIGINT",
        "starts_agreeing": "BIGINT",
        "parameters": "VARCHAR",
        "standard_errors": "VARCHAR",
        "holdout_days": "BIGINT",
        "holdout_mae": "DOUBLE",
        "holdout_bias": "DOUBLE",
        "is_left_truncated": "BOOLEAN",
        "is_propensity": "BOOLEAN",
    },
    "backtest_metrics": {
        "as_of_date": "DATE",
        "cut_date": "DATE",
        "holdout_days": "BIGINT",
        "model": "VARCHAR",
        "role": "VARCHAR",
        "fit_status": "VARCHAR",
        "reason": "VARCHAR",
        "customers": "BIGINT",
        "actual_orders": "BIGINT",
        "predicted_orders": "DOUBLE",
        "mae": "DOUBLE",
        "rmse": "DOUBLE",
        "bias": "DOUBLE",
        "spearman": "DOUBLE",
        "propensity_days": "BIGINT",
        "auc_p_buy": "DOUBLE",
        "auc_recency": "DOUBLE",
        "interval_coverage_rate": "DOUBLE",
        "interval_expected_rate": "DOUBLE",
        "interval_drift": "DOUBLE",
        "loses_to_naive": "BOOLEAN",
    },
    "calibration_by_x": {
        "as_of_date": "DATE",
        "model": "VARCHAR",
        "repeat_orders": "BIGINT",
        "customers": "BIGINT",
        "actual_mean_orders": "DOUBLE",
        "predicted_mean_orders": "DOUBLE",
    },
    "calibration_by_decile": {
        "as_of_date": "DATE",
        "model": "VARCHAR",
        "decile": "BIGINT",
        "customers": "BIGINT",
        "actual_mean_orders": "DOUBLE",
        "predicted_mean_orders": "DOUBLE",
    },
    "tracking_weekly": {
        "as_of_date": "DATE",
        "model": "VARCHAR",
        "week": "BIGINT",
        "week_end_date": "DATE",
        "is_holdout": "BOOLEAN",
        "actual_orders": "BIGINT",
        "predicted_orders": "DOUBLE",
        "actual_cumulative_orders": "BIGINT",
        "predicted_cumulative_orders": "DOUBLE",
    },
}
"""Columns of the tables of an outcome, with their DuckDB types."""


class ValueStore(RunFolders):
    """The folder of value runs of one lake."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.lake / "value", state_file="models.json")

    def file(self, table: str) -> Path:
        """Current Parquet file of a table of :data:`SCHEMAS`."""
        return self.current / f"{table}.parquet"

    def state(self) -> dict[str, Any]:
        """What the current run wrote about itself: day, models, parameters."""
        return self.state_of(self.current)


def write_table(connection: duckdb.DuckDBPyConnection, query: str, folder: Path, table: str) -> None:
    """Write a query's rows as a table of :data:`SCHEMAS`, with exactly its columns and types."""
    write_rows(connection, query, SCHEMAS[table], folder / f"{table}.parquet")


def write_empty_tables(folder: Path) -> None:
    """Write every table without rows."""
    with duckdb.connect(":memory:") as connection:
        for table, schema in SCHEMAS.items():
            write_table(connection, no_rows(schema), folder, table)


def ensure_empty_outcome(settings: Settings) -> None:
    """Make an outcome without predictions current if there is none, so that models which read it can be built."""
    store = ValueStore(settings)
    if store.exists():
        return
    with store.new_run("empty", {"as_of": None}) as folder:
        write_empty_tables(folder)
