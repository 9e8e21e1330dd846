"""What a run did, as rows of its tables: models, errors, calibration, tracking."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from transforms.value.backtest import Backtest
from transforms.value.candidates import NAMES, Fit
from transforms.value.choice import Choice
from transforms.value.diagnostics import Extent, Verdict
from transforms.value.fitting import Optimum
from transforms.value.spend import PARAMETERS
from transforms.value.spend_backtest import SpendErrors
from transforms.value.spend_run import GAMMA_GAMMA, MEAN, POOLED_MEAN, Spend
from transforms.value.store import SCHEMAS, write_table
from transforms.value.summary import Window


def model_runs(
    window: Window,
    found: Extent,
    is_truncated: bool,
    verdict: Verdict,
    fits: dict[str, Fit],
    backtest: Backtest,
    spends: list[Spend],
    spend_errors: Mapping[str, SpendErrors],
    chosen: Choice | None,
    likely: Fit | None,
) -> list[dict[str, Any]]:
    """Rows of ``model_runs``: every candidate, and the spend models of each currency."""
    common = {
        "as_of_date": window.as_of,
        "first_date": window.first,
        "history_days": window.history_days,
        "is_left_truncated": is_truncated,
    }
    rows = []
    for name in NAMES:
        fit, contender = fits.get(name), backtest.contenders.get(name)
        told = contender.errors if contender else None
        if not verdict.accepted:
            status, reason = "not_run", verdict.reason
        elif fit:
            status, reason = ("accepted" if fit.verdict.accepted else "rejected"), fit.verdict.reason
        else:
            status = "no_fit" if contender and contender.verdict.accepted else "not_run"
            reason = contender.verdict.reason if contender else backtest.verdict.reason
        rows.append(
            common
            | _optimum(fit.optimum if fit else None, fit.model.parameters if fit else ())
            | {
                "part": "purchases",
                "model": name,
                "currency": None,
                "role": _role(name, chosen),
                "fit_status": status,
                "reason": reason,
                "customers": found.customers,
                "repeat_customers": found.repeat_customers,
                "holdout_days": window.holdout_days if told else None,
                "holdout_mae": told.mae if told else None,
                "holdout_bias": told.bias if told else None,
                "is_propensity": bool(likely and likely.model.name == name),
            }
        )
    return rows + [
        common | row for spend in spends for row in _spend_runs(spend, window, spend_errors.get(spend.currency))
    ]


def _spend_runs(spend: Spend, window: Window, judged: SpendErrors | None) -> list[dict[str, Any]]:
    extra = {} if spend.correlation is None else {"correlation_with_orders": spend.correlation}
    extra["kept_share"] = spend.kept_share
    fitted = "accepted" if spend.verdict.accepted else "rejected"
    rows = []
    for model in (GAMMA_GAMMA, MEAN, POOLED_MEAN):
        is_fitted = model == GAMMA_GAMMA
        told = judged.by_model.get(model) if judged else None
        rows.append(
            _optimum(spend.optimum if is_fitted else None, PARAMETERS, extra if is_fitted else {})
            | {
                "part": "spend",
                "model": model,
                "currency": spend.currency,
                "role": "chosen" if model == spend.model else "candidate",
                "fit_status": fitted if is_fitted else "no_fit",
                "reason": spend.verdict.reason if is_fitted else None,
                "customers": spend.customers,
                "repeat_customers": spend.repeat_customers,
                "holdout_days": window.holdout_days if told else None,
                "holdout_mae": told.mae if told else None,
                "holdout_bias": told.bias if told else None,
                "is_propensity": False,
            }
        )
    return rows


def backtest_metrics(backtest: Backtest, chosen: Choice | None) -> list[dict[str, Any]]:
    """Rows of ``backtest_metrics``: the errors of every candidate over the days held out."""
    window, rows = backtest.window, []
    for contender in backtest.contenders.values():
        told = contender.errors
        is_fitted = contender.name in backtest.fits
        accepted = "accepted" if is_fitted else "no_fit"
        rows.append(
            {
                "as_of_date": window.as_of,
                "cut_date": window.cut,
                "holdout_days": window.holdout_days,
                "model": contender.name,
                "role": _role(contender.name, chosen),
                "fit_status": accepted if told else "rejected" if is_fitted else "not_run",
                "reason": contender.verdict.reason,
                "customers": backtest.customers,
                "actual_orders": int(told.actual) if told else None,
                "predicted_orders": told.predicted if told else None,
                "mae": told.mae if told else None,
                "rmse": told.rmse if told else None,
                "bias": told.bias if told else None,
                "spearman": told.spearman if told else None,
                "propensity_days": window.propensity_days,
                "auc_p_buy": contender.auc,
                "auc_recency": backtest.auc_recency,
                "interval_coverage_rate": contender.coverage.actual if contender.coverage else None,
                "interval_expected_rate": contender.coverage.expected if contender.coverage else None,
                "interval_drift": contender.coverage.drift if contender.coverage else None,
                "loses_to_naive": bool(told.mae > backtest.best_naive) if told else None,
            }
        )
    return rows


def dated(window: Window, rows: list[tuple[Any, ...]], table: str) -> list[dict[str, Any]]:
    """Rows of a table of :data:`SCHEMAS` that begins with the day."""
    return [dict(zip(SCHEMAS[table], (window.as_of, *row), strict=True)) for row in rows]


def tracking_weekly(window: Window, rows: list[tuple[str, int, int, float]]) -> list[dict[str, Any]]:
    """Rows of ``tracking_weekly``, added up from week to week."""
    told, came, should = [], {}, {}
    for model, week, actual, expected in rows:
        came[model], should[model] = came.get(model, 0) + actual, should.get(model, 0.0) + expected
        end = window.first + timedelta(days=7 * week - 1)
        values = (window.as_of, model, week, end, end > window.cut, actual, expected, came[model], should[model])
        told.append(dict(zip(SCHEMAS["tracking_weekly"], values, strict=True)))
    return told


def write_rows(connection: duckdb.DuckDBPyConnection, folder: Path, table: str, rows: list[dict[str, Any]]) -> None:
    """Write rows as a table of :data:`SCHEMAS`."""
    types = {
        "VARCHAR": pa.string(),
        "DOUBLE": pa.float64(),
        "BIGINT": pa.int64(),
        "DATE": pa.date32(),
        "BOOLEAN": pa.bool_(),
    }
    schema = pa.schema([(name, types[kind]) for name, kind in SCHEMAS[table].items()])
    connection.register("rows_of_table", pa.Table.from_pylist(rows, schema))
    write_table(connection, "SELECT * FROM rows_of_table ORDER BY ALL", folder, table)
    connection.unregister("rows_of_table")


def _role(name: str, chosen: Choice | None) -> str:
    if chosen and name in (chosen.name, chosen.runner_up):
        return "chosen" if name == chosen.name else "runner_up"
    return "candidate"


def _optimum(optimum: Optimum | None, names: tuple[str, ...], extra: dict[str, float] | None = None) -> dict[str, Any]:
    if optimum is None:
        empty = ("log_likelihood", "gradient_norm", "hessian_condition", "starts", "starts_agreeing")
        return dict.fromkeys((*empty, "parameters", "standard_errors"))
    parameters = dict(zip(names, map(float, optimum.parameters), strict=True)) | (extra or {})
    errors = optimum.standard_errors
    return {
        "log_likelihood": optimum.value,
        "gradient_norm": optimum.gradient_norm,
        "hessian_condition": optimum.condition if np.isfinite(optimum.condition) else None,
        "starts": optimum.starts,
        "starts_agreeing": optimum.agreeing,
        "parameters": json.dumps(parameters),
        "standard_errors": None if errors is None else json.dumps(dict(zip(names, map(float, errors), strict=True))),
    }
