"""The value run: purchase days in, expected purchases and value out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from transforms.settings import Settings
from transforms.sql import scratch_connection
from transforms.value import trees
from transforms.value.backtest import Backtest, calibration_by_decile, calibration_by_x, run_backtest, tracking
from transforms.value.candidates import NAIVE, TREES, Fit, fit_ladder, parts_of, propensity_of
from transforms.value.choice import Choice, choose
from transforms.value.diagnostics import Verdict, judge_extent
from transforms.value.intervals import Intervals, likely_orders
from transforms.value.predict import (
    Orders,
    daily_discount,
    orders_of_model,
    orders_of_rule,
    orders_of_trees,
    propensity,
)
from transforms.value.predictions import no_predictions_query, predictions_query, register_states
from transforms.value.report import ValueReport
from transforms.value.sample import sample_of
from transforms.value.spend_backtest import SpendErrors, judge_spends
from transforms.value.spend_run import Spend, fit_spends
from transforms.value.store import ValueStore, write_empty_tables, write_table
from transforms.value.summary import (
    Histories,
    Window,
    extent,
    find_window,
    histories,
    histories_at_cut,
    read_purchase_days,
    summarise,
)
from transforms.value.tables import backtest_metrics, dated, model_runs, tracking_weekly, write_rows

Progress = Callable[[str], None]
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
    outcome = _of_holdout(connection, window, backtest)
    spends: list[Spend] = []
    spend_errors: dict[str, SpendErrors] = {}
    chosen: Choice | None = None
    likely: Fit | None = None
    if verdict.accepted:
        with _step("fit", seconds, progress):
            fits = fit_ladder(sample_of(known.x, known.tx, known.t, known.weight))
        with _step("backtest", seconds, progress):
            backtest = run_backtest(connection, window)
            outcome = _of_holdout(connection, window, backtest)
            backtest = backtest.without_forecasts()
        with _step("spend", seconds, progress):
            spends = fit_spends(connection, _net_revenue(connection))
            if backtest.verdict.accepted:
                spend_errors = judge_spends(connection, window)
        with _step("predict", seconds, progress):

            def forecast(name: str) -> Orders | None:
                return _orders(name, connection, fits, known, window, discount)

            chosen = choose(backtest, fits, forecast)
            likely = propensity_of(fits)
            if chosen is None or likely is None:
                verdict = Verdict(False, "no_model: no forecast can be made")
    with _step("write", seconds, progress):
        if chosen and likely:
            intervals = _intervals(chosen, backtest, fits, known, window)
            register_states(connection, known, chosen, propensity(likely, known), intervals, window)
            query = predictions_query(connection, settings, window, chosen, likely, spends)
        else:
            query = no_predictions_query(verdict.reason or "")
        write_table(connection, f"SELECT * FROM ({query}) ORDER BY customer_id", folder, "predictions")
        runs = model_runs(window, found, is_truncated, verdict, fits, backtest, spends, spend_errors, chosen, likely)
        rows = {
            "model_runs": runs,
            "backtest_metrics": backtest_metrics(backtest, chosen),
        } | outcome
        for table, values in rows.items():
            write_rows(connection, folder, table, values)
        state["horizon_days"] = window.horizon_days
        state["models"] = [
            {name: row[name] for name in ("part", "model", "currency", "role", "fit_status", "reason")}
            | {name: json.loads(row[name]) if row[name] else None for name in ("parameters", "standard_errors")}
            for row in runs
        ]
    return _report(found.customers, verdict, chosen, likely, backtest, is_truncated, seconds)


def _of_holdout(
    connection: duckdb.DuckDBPyConnection, window: Window, backtest: Backtest
) -> dict[str, list[dict[str, Any]]]:
    """Rows of the tables that hold forecasts against what came."""
    return {
        "calibration_by_x": dated(window, calibration_by_x(backtest), "calibration_by_x"),
        "calibration_by_decile": dated(window, calibration_by_decile(backtest), "calibration_by_decile"),
        "tracking_weekly": tracking_weekly(window, tracking(connection, backtest)),
    }


def _orders(
    name: str,
    connection: duckdb.DuckDBPyConnection,
    fits: dict[str, Fit],
    known: Histories,
    window: Window,
    discount: float,
) -> Orders | None:
    parts = []
    for part in parts_of(name):
        if part in fits:
            parts.append(orders_of_model(fits[part], known, window.horizon_days, discount))
        elif part in NAIVE:
            parts.append(orders_of_rule(part, known, window, discount))
        elif part == TREES:
            try:
                taught = trees.teach(histories_at_cut(connection, window))
            except ValueError:
                return None
            parts.append(orders_of_trees(taught, window.holdout_days, known, window.horizon_days, discount))
        else:
            return None
    return parts[0] if len(parts) == 1 else Orders.mean_of(parts)


def _intervals(
    chosen: Choice, backtest: Backtest, fits: dict[str, Fit], known: Histories, window: Window
) -> Intervals | None:
    model, *rules = parts_of(chosen.name)
    if model not in fits:
        return None
    judged = backtest.contenders.get(chosen.name)
    # Rates wander: over twice the time, after twice the history, they are twice as far off.
    drift = (
        judged.coverage.drift * window.horizon_days / max(window.holdout_days, 1) if judged and judged.coverage else 0.0
    )
    mean = chosen.orders.expected[window.horizon_days] if rules else None
    return likely_orders(fits[model], known, window.horizon_days, mean, drift)


def _net_revenue(connection: duckdb.DuckDBPyConnection) -> dict[str, float]:
    rows = connection.execute(
        "SELECT currency, CAST(sum(net_revenue_amount) AS DOUBLE) FROM warehouse.intermediate.int_customer_value"
        " WHERE purchase_days > 0 GROUP BY currency"
    )
    return dict(rows.fetchall())


def _is_truncated(known: Histories, window: Window) -> bool:
    early = known.weight[known.t >= window.history_days * (1 - _TRUNCATED_PART)].sum()
    return bool(early >= _TRUNCATED_SHARE * known.weight.sum())


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
