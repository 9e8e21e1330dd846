"""Where the outcomes of value runs lie: ``<lake>/value/runs/<run>``; ``current`` names the one that holds.

A run writes a folder of its own and becomes visible by one rename of a symbolic link, so that a reader sees the old
outcome or the new, and a crash at any moment leaves the old. Nothing is remembered from run to run: an outcome is a
function of the purchase days that it read. Parameters lie in ``models.json`` beside the tables, as numbers that any
program reads, never as a pickle.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from transforms.durability import sync
from transforms.settings import Settings
from transforms.sql import identifier, literal

KEPT_RUNS = 2
_DRAFT = ".draft-"
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_STATE = "models.json"

SCHEMAS: dict[str, dict[str, str]] = {
    "predictions": {
        "customer_id": "VARCHAR",
        "predicted_orders": "DOUBLE",
        "predicted_orders_low": "DOUBLE",
        "predicted_orders_high": "DOUBLE",
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


class ValueStore:
    """The folder of value runs of one lake."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.lake / "value"
        self.runs = self.folder / "runs"
        self.current = self.folder / "current"

    def exists(self) -> bool:
        """Whether some run's outcome is current."""
        return (self.current / _STATE).exists()

    def file(self, table: str) -> Path:
        """Current Parquet file of a table of :data:`SCHEMAS`."""
        return self.current / f"{table}.parquet"

    def state(self) -> dict[str, Any]:
        """What the current run wrote about itself: day, models, parameters."""
        return json.loads((self.current / _STATE).read_text(encoding="utf-8"))

    @contextmanager
    def new_run(self, run_id: str, state: Mapping[str, Any]) -> Iterator[Path]:
        """Give a folder to write a run into; on leaving without an error it becomes current.

        ``state`` is written at the end, so that a run may add to it while it works.

        :raises ValueError: if ``run_id`` cannot name a folder, or ``state`` holds a number that is none.
        """
        if not _RUN_ID.fullmatch(run_id):
            raise ValueError(f"{run_id!r} cannot name a folder: use letters, digits, dot, dash and underscore")
        self.runs.mkdir(parents=True, exist_ok=True)
        self.clean()
        draft = self.runs / f"{_DRAFT}{run_id}"
        draft.mkdir()
        try:
            yield draft
            text = json.dumps(state, indent=1, sort_keys=True, allow_nan=False)
            (draft / _STATE).write_text(text + "\n", encoding="utf-8")
            sync(*draft.iterdir(), draft)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        self._point_at(self._keep(draft, run_id))
        self.clean()

    def _keep(self, draft: Path, run_id: str) -> Path:
        """Give the finished folder its name; a second outcome of one run id gets a number, the first may be read."""
        target, attempt = self.runs / run_id, 1
        while target.exists():
            attempt += 1
            target = self.runs / f"{run_id}~{attempt}"
        draft.rename(target)
        sync(self.runs)
        return target

    def _point_at(self, run: Path) -> None:
        link = self.folder / f"{_DRAFT}{self.current.name}"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("runs") / run.name)
        link.replace(self.current)
        sync(self.folder)

    def clean(self) -> None:
        """Remove what crashed runs left, and all but the last runs. The current one always stays."""
        (self.folder / f"{_DRAFT}{self.current.name}").unlink(missing_ok=True)
        if not self.runs.is_dir():
            return
        finished = {run: (run / _STATE).stat().st_mtime_ns for run in self.runs.iterdir() if _is_finished(run)}
        current = finished.get(self.current.resolve(), 0)
        # A folder that is younger than the current one never became current: its run died before.
        former = sorted((run for run, at in finished.items() if at <= current), key=lambda run: finished[run])
        kept = [*former[-KEPT_RUNS:], self.current.resolve()]
        for folder in self.runs.iterdir():
            if folder not in kept:
                shutil.rmtree(folder)


def _is_finished(run: Path) -> bool:
    return not run.name.startswith(_DRAFT) and (run / _STATE).exists()


def write_table(connection: duckdb.DuckDBPyConnection, query: str, folder: Path, table: str) -> None:
    """Write a query's rows as a table of :data:`SCHEMAS`, with exactly its columns and types."""
    casts = ", ".join(
        f"CAST({identifier(name)} AS {kind}) AS {identifier(name)}" for name, kind in SCHEMAS[table].items()
    )
    connection.execute(
        f"COPY (SELECT {casts} FROM ({query})) TO {literal(folder / f'{table}.parquet')}"
        " (FORMAT parquet, COMPRESSION zstd)"
    )


def write_empty_tables(folder: Path) -> None:
    """Write every table without rows."""
    with duckdb.connect(":memory:") as connection:
        for table, schema in SCHEMAS.items():
            nothing = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in schema.items())
            write_table(connection, f"SELECT {nothing} LIMIT 0", folder, table)


def ensure_empty_outcome(settings: Settings) -> None:
    """Make an outcome without predictions current if there is none, so that models which read it can be built."""
    store = ValueStore(settings)
    if store.exists():
        return
    with store.new_run("empty", {"as_of": None}) as folder:
        write_empty_tables(folder)
