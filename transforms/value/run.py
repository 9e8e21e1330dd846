"""The value run: purchase days in, expected purchases and value out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from transforms.settings import Settings
from transforms.sql import literal, scratch_connection
from transforms.value import trees
from transforms.value.backtest import Backtest, calibration_by_decile, calibration_by_x, run_backtest, tracking
from transforms.value.candidates import NAIVE, NAMES, TREES, Fit, fit_ladder, propensity_of
from transforms.value.choice import Choice, choose
from transforms.value.diagnostics import Verdict, judge_extent
from transforms.value.fitting import Optimum
from transforms.value.predict import (
    P_BUY_DAYS,
    Orders,
    Propensity,
    daily_discount,
    orders_of_model,
    orders_of_rule,
    orders_of_trees,
    propensity,
)
from transforms.value.report import ValueReport
from transforms.value.sample import sample_of
from transforms.value.spend import PARAMETERS
from transforms.value.spend_run import EXPECTED, GAMMA_GAMMA, MEAN, VARIANCE, Spend, fit_spends, spend_rows
from transforms.value.store import SCHEMAS, ValueStore, write_empty_tables, write_table
from transforms.value.summary import (
    CUSTOMERS,
    Histories,
    Window,
    extent,
    find_window,
    histories,
    histories_at_cut,
    read_purchase_days,
    summarise,
)

Progress = Callable[[str], None]
# 95 % of a normal distribution; intervals lie on the logarithm.
_SIDES = 1.959964
# Most customers of a shop that has just opened its doors come later: if four in five were there in the first tenth of
# the history, they were customers before the data begin.
_TRUNCATED_SHARE, _TRUNCATED_PART = 0.8, 0.1


def forecast_value(settings: Settings, as_of: date, run_id: str, progress: Progress | None = None) -> ValueReport:
    """Fit the models, choose by backtest, predict, and make the outcome current in the lake.

    Reads ``intermediate.int_customer_purchase_days`` and ``intermediate.int_customer_value`` of the warehouse, which it
    opens read-only and leaves before it returns. Writes ``<lake>/value/runs/<run_id>`` and points
    ``<lake>/value/current`` at it: readers see the old outcome or the new one. The outcome is a function of these
    tables, the day and the settings; the order of rows never matters, and nothing is remembered from the last run.

    :param as_of: last day that counts; purchase days after it are left out and counted.
    :param run_id: name of the run and of its folder.
    :param progress: called with a line after each step.
    :raises FileNotFoundError: if there is no warehouse.
    :raises ValueError: if the run id is not usable, or a customer has amounts in several currencies.
    """
    seconds: dict[str, float] = {}
    state: dict[str, Any] = {"as_of": as_of.isoformat()}
    with ValueStore(settings).new_run(run_id, state) as folder, scratch_connection(settings) as connection:
        with _step("read", seconds, progress):
            state["purchase_days_after_as_of"] = read_purchase_days(connection, settings.warehouse, as_of)
            window = find_window(connection, as_of, settings.value_horizon_days)
            if window is None:
                write_empty_tables(folder)
                return ValueReport(0, "historic", "none", False, "no_purchases: nobody has bought yet", seconds)
            summarise(connection, window)
        return _forecast(connection, settings, window, folder, state, seconds, progress)


def _forecast(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    window: Window,
    folder: Path,
    state: dict[str, Any],
    seconds: dict[str, float],
    progress: Progress | None,
) -> ValueReport:
    found = extent(connection, window, at_cut=False)
    verdict = judge_extent(found)
    known = histories(connection, window)
    is_truncated = _is_truncated(known, window)
    discount = daily_discount(settings.value_discount_rate)
    fits: dict[str, Fit] = {}
    backtest = Backtest(window, verdict)
    spends: list[Spend] = []
    chosen: Choice | None = None
    likely: Fit | None = None
    if verdict.accepted:
        with _step("fit", seconds, progress):
            fits = fit_ladder(sample_of(known.x, known.tx, known.t, known.weight))
        with _step("backtest", seconds, progress):
            backtest = run_backtest(connection, window)
        with _step("spend", seconds, progress):
            spends = fit_spends(connection, _net_revenue(connection))
        with _step("predict", seconds, progress):

            def forecast(name: str) -> Orders | None:
                return _orders(name, connection, fits, known, window, discount)

            chosen = choose(backtest, fits, forecast)
            likely = propensity_of(fits)
            if chosen is None or likely is None:
                verdict = Verdict(False, "no_model: no forecast can be made")
    with _step("write", seconds, progress):
        if chosen and likely:
            _store_states(connection, known, chosen, propensity(likely, known))
            query = _predictions(connection, settings, window, chosen, likely, spends)
        else:
            query = _no_predictions(verdict.reason or "")
        write_table(connection, f"SELECT * FROM ({query}) ORDER BY customer_id", folder, "predictions")
        runs = _model_runs(window, found, is_truncated, verdict, fits, backtest, spends, chosen, likely)
        rows = {
            "model_runs": runs,
            "backtest_metrics": _metrics(backtest, chosen),
            "calibration_by_x": _dated(window, calibration_by_x(backtest), "calibration_by_x"),
            "calibration_by_decile": _dated(window, calibration_by_decile(backtest), "calibration_by_decile"),
            "tracking_weekly": _tracking_rows(window, tracking(connection, backtest)),
        }
        for table, values in rows.items():
            _write_rows(connection, folder, table, values)
        state["horizon_days"] = window.horizon_days
        state["models"] = [
            {name: row[name] for name in ("part", "model", "currency", "role", "fit_status", "reason")}
            | {name: json.loads(row[name]) if row[name] else None for name in ("parameters", "standard_errors")}
            for row in runs
        ]
    return _report(found.customers, verdict, chosen, likely, backtest, is_truncated, seconds)


def _orders(
    name: str,
    connection: duckdb.DuckDBPyConnection,
    fits: dict[str, Fit],
    known: Histories,
    window: Window,
    discount: float,
) -> Orders | None:
    if name in fits:
        return orders_of_model(fits[name], known, float(window.horizon_days), discount)
    if name in NAIVE:
        return orders_of_rule(name, known, window, discount)
    if name == TREES:
        try:
            taught = trees.teach(histories_at_cut(connection, window))
        except ValueError:
            return None
        return orders_of_trees(taught, window.holdout_days, known, float(window.horizon_days), discount)
    return None


def _net_revenue(connection: duckdb.DuckDBPyConnection) -> dict[str, float]:
    rows = connection.execute(
        "SELECT currency, CAST(sum(net_revenue_amount) AS DOUBLE) FROM warehouse.intermediate.int_customer_value"
        " WHERE purchase_days > 0 GROUP BY currency"
    )
    return dict(rows.fetchall())


def _is_truncated(known: Histories, window: Window) -> bool:
    early = known.weight[known.t >= window.history_days * (1 - _TRUNCATED_PART)].sum()
    return bool(early >= _TRUNCATED_SHARE * known.weight.sum())


def _store_states(connection: duckdb.DuckDBPyConnection, known: Histories, chosen: Choice, likely: Propensity) -> None:
    """Register ``states``: one row per distinct history with all that follows from it."""
    columns: dict[str, Any] = {
        "n": (known.x + 1).astype(np.int32),
        "first": known.t.astype(np.int32),
        "last": (known.t - known.tx).astype(np.int32),
        "recent": known.recent.astype(np.int32),
        "orders": chosen.orders.expected,
        "discounted": chosen.orders.discounted,
        "p_alive": np.clip(likely.p_alive, 0, 1),
        "next_days": pa.array(np.nan_to_num(likely.next_days).astype(np.int32), mask=np.isnan(likely.next_days)),
    }
    for days in P_BUY_DAYS:
        columns[f"p_buy_{days}"] = np.clip(likely.p_buy[days], 0, 1)
    error = chosen.orders.log_error
    columns["log_error"] = pa.nulls(len(known.x), pa.float64()) if error is None else error
    connection.register("states", pa.table(columns))


def _predictions(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    window: Window,
    chosen: Choice,
    likely: Fit,
    spends: list[Spend],
) -> str:
    """SQL of the predictions, one row per customer."""
    connection.register("spends", pa.Table.from_pylist(spend_rows(spends)))
    as_of = f"DATE {literal(window.as_of.isoformat())}"
    reason = "CAST(NULL AS VARCHAR)" if chosen.reason is None else literal(chosen.reason)
    mean = [f"{spend.currency} {spend.verdict.reason}" for spend in spends if not spend.verdict.accepted]
    spend_reason = literal("mean amounts instead of the spend model: " + "; ".join(mean))
    return f"""
        WITH joined AS (
            SELECT c.customer_id, states.*, spends.*, c.paid_days AS n_paid, coalesce(CAST(c.paid AS DOUBLE), 0) AS paid
            FROM {CUSTOMERS} AS c
            JOIN states ON c.n = states.n AND c.first = states.first AND c.last = states.last
                AND c.recent = states.recent
            LEFT JOIN currencies USING (code)
            LEFT JOIN spends ON currencies.currency = spends.currency
        ), spent AS (
            SELECT * REPLACE (n_paid AS n), paid / greatest(n_paid, 1) AS z FROM joined
        ), valued AS (
            SELECT *, {EXPECTED} AS amount, sqrt(greatest(coalesce(log_error * log_error + {VARIANCE}, 0), 0)) AS error
            FROM spent
        ), known AS (
            SELECT *, discounted * amount * kept_share * {float(settings.value_margin)!r} AS clv,
                   exp(least({_SIDES} * error, 10)) AS side, exp(least({_SIDES} * log_error, 10)) AS order_side
            FROM valued
        )
        SELECT customer_id, orders AS predicted_orders, orders / order_side AS predicted_orders_low,
               orders * order_side AS predicted_orders_high, amount AS expected_order_value_amount,
               clv AS predicted_clv_amount,
               CASE WHEN log_error IS NOT NULL THEN clv / side END AS predicted_clv_low_amount,
               CASE WHEN log_error IS NOT NULL THEN clv * side END AS predicted_clv_high_amount,
               p_alive, p_buy_30, p_buy_90, p_buy_365,
               CAST({as_of} + next_days AS DATE) AS expected_next_order_date, {window.horizon_days} AS horizon_days,
               {literal(chosen.name)} AS model, {literal(likely.model.name)} AS propensity_model, spend_model,
               CASE WHEN {literal(chosen.fit_status)} = 'accepted' AND coalesce(spend_model, '') <> '{GAMMA_GAMMA}'
                    THEN 'fallback' ELSE {literal(chosen.fit_status)} END AS fit_status,
               CASE WHEN clv IS NULL THEN 'no_amount: no purchase of the customer has an amount in a known currency'
                    WHEN spend_model = '{MEAN}' THEN concat_ws('; ', {reason}, {spend_reason})
                    ELSE {reason} END AS fallback_reason
        FROM known"""


def _no_predictions(reason: str) -> str:
    columns = dict.fromkeys(SCHEMAS["predictions"], "NULL") | {
        "customer_id": "customer_id",
        "model": "'historic'",
        "fit_status": "'not_fitted'",
        "fallback_reason": literal(reason),
    }
    return f"SELECT {', '.join(f'{value} AS {name}' for name, value in columns.items())} FROM {CUSTOMERS}"


def _role(name: str, chosen: Choice | None) -> str:
    if chosen and name in (chosen.name, chosen.runner_up):
        return "chosen" if name == chosen.name else "runner_up"
    return "candidate"


def _model_runs(
    window: Window,
    found: Any,
    is_truncated: bool,
    verdict: Verdict,
    fits: dict[str, Fit],
    backtest: Backtest,
    spends: list[Spend],
    chosen: Choice | None,
    likely: Fit | None,
) -> list[dict[str, Any]]:
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
    for spend in spends:
        extra = {} if spend.correlation is None else {"correlation_with_orders": spend.correlation}
        extra["kept_share"] = spend.kept_share
        for model in (GAMMA_GAMMA, MEAN):
            optimum = spend.optimum if model == GAMMA_GAMMA else None
            rows.append(
                common
                | _optimum(optimum, PARAMETERS, extra if model == GAMMA_GAMMA else {})
                | {
                    "part": "spend",
                    "model": model,
                    "currency": spend.currency,
                    "role": "chosen" if model == spend.model else "candidate",
                    "fit_status": "no_fit" if model == MEAN else "accepted" if spend.verdict.accepted else "rejected",
                    "reason": spend.verdict.reason if model == GAMMA_GAMMA else None,
                    "customers": spend.customers,
                    "repeat_customers": spend.repeat_customers,
                    "holdout_days": None,
                    "holdout_mae": None,
                    "holdout_bias": None,
                    "is_propensity": False,
                }
            )
    return rows


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


def _metrics(backtest: Backtest, chosen: Choice | None) -> list[dict[str, Any]]:
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
                "customers": int(backtest.histories.weight.sum()) if backtest.histories else 0,
                "actual_orders": int(told.actual) if told else None,
                "predicted_orders": told.predicted if told else None,
                "mae": told.mae if told else None,
                "rmse": told.rmse if told else None,
                "bias": told.bias if told else None,
                "spearman": told.spearman if told else None,
                "propensity_days": window.propensity_days,
                "auc_p_buy": contender.auc,
                "auc_recency": backtest.auc_recency,
                "loses_to_naive": bool(told.mae > backtest.best_naive) if told else None,
            }
        )
    return rows


def _dated(window: Window, rows: list[tuple[Any, ...]], table: str) -> list[dict[str, Any]]:
    return [dict(zip(SCHEMAS[table], (window.as_of, *row), strict=True)) for row in rows]


def _tracking_rows(window: Window, rows: list[tuple[str, int, int, float]]) -> list[dict[str, Any]]:
    told, came, should = [], {}, {}
    for model, week, actual, expected in rows:
        came[model], should[model] = came.get(model, 0) + actual, should.get(model, 0.0) + expected
        end = window.first + timedelta(days=7 * week - 1)
        values = (window.as_of, model, week, end, end > window.cut, actual, expected, came[model], should[model])
        told.append(dict(zip(SCHEMAS["tracking_weekly"], values, strict=True)))
    return told


def _write_rows(connection: duckdb.DuckDBPyConnection, folder: Path, table: str, rows: list[dict[str, Any]]) -> None:
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


def _report(
    customers: int,
    verdict: Verdict,
    chosen: Choice | None,
    likely: Fit | None,
    backtest: Backtest,
    is_truncated: bool,
    seconds: dict[str, float],
) -> ValueReport:
    if chosen is None or likely is None:
        return ValueReport(customers, "historic", "none", False, f"nothing is predicted: {verdict.reason}", seconds)
    told = backtest.contenders.get(chosen.name)
    figures = (
        f"over the last {backtest.window.holdout_days} days it was off by {told.errors.mae:.3f} orders per customer"
        + (f" with a bias of {told.errors.bias:+.1%}" if told.errors.bias is not None else "")
        if told and told.errors
        else "without a backtest"
    )
    parts = [f"{chosen.name} forecasts purchases, {figures}; {likely.model.name} gives P(buy)"]
    if chosen.reason:
        parts.append(chosen.reason)
    judged = backtest.contenders.get(likely.model.name)
    ranks = judged is None or judged.auc is None or (backtest.auc_recency or 0) < judged.auc
    if not ranks:
        parts.append("P(buy) ranks customers no better than the days since their last purchase")
    if is_truncated:
        parts.append("most customers seem older than the data: first purchases in the data are not their first")
    is_sound = chosen.fit_status == "accepted" and ranks and backtest.verdict.accepted
    return ValueReport(customers, chosen.name, likely.model.name, is_sound, "; ".join(parts), seconds)


@contextmanager
def _step(name: str, seconds: dict[str, float], progress: Progress | None) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started
    if progress:
        progress(f"{name}: {seconds[name]:.1f} s")
