"""From distinct histories back to customers: the SQL that writes a row of predictions for each."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from transforms.settings import Settings
from transforms.sql import literal
from transforms.value.candidates import Fit
from transforms.value.choice import Choice
from transforms.value.intervals import Intervals
from transforms.value.predict import AHEAD_DAYS, Propensity
from transforms.value.spend_run import EXPECTED, GAMMA_GAMMA, MEAN, VARIANCE, Spend, spend_rows
from transforms.value.store import SCHEMAS
from transforms.value.summary import CUSTOMERS, Histories, Window

# 95 % of a normal distribution; intervals lie on the logarithm.
_SIDES = 1.959964


def register_states(
    connection: duckdb.DuckDBPyConnection,
    known: Histories,
    chosen: Choice,
    likely: Propensity,
    intervals: Intervals | None,
    window: Window,
) -> None:
    """Register ``states``: one row per distinct history with all that follows from it."""
    columns: dict[str, Any] = {
        "n": (known.x + 1).astype(np.int32),
        "first": known.t.astype(np.int32),
        "last": (known.t - known.tx).astype(np.int32),
        "recent": known.recent.astype(np.int32),
        "orders": chosen.orders.expected[window.horizon_days],
        "discounted": chosen.orders.discounted[window.horizon_days],
        "p_alive": np.clip(likely.p_alive, 0, 1),
        "next_days": pa.array(np.nan_to_num(likely.next_days).astype(np.int32), mask=np.isnan(likely.next_days)),
    }
    for days in AHEAD_DAYS:
        columns[f"p_buy_{days}"] = np.clip(likely.p_buy[days], 0, 1)
        columns[f"orders_{days}"] = chosen.orders.expected[days]
        columns[f"discounted_{days}"] = chosen.orders.discounted[days]
    error = chosen.orders.log_error
    columns["log_error"] = pa.nulls(len(known.x), pa.float64()) if error is None else error
    for side, counts in (("low", intervals and intervals.low), ("high", intervals and intervals.high)):
        whole = pa.nulls(len(known.x), pa.int32()) if counts is None else counts.astype(np.int32)
        columns[f"likely_{side}"] = whole
    connection.register("states", pa.table(columns))


def predictions_query(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    window: Window,
    chosen: Choice,
    likely: Fit,
    spends: list[Spend],
) -> str:
    """SQL of the predictions, one row per customer; over ``customers`` and what :func:`register_states` registered."""
    connection.register("spends", pa.Table.from_pylist(spend_rows(spends)))
    as_of = f"DATE {literal(window.as_of.isoformat())}"
    reason = "CAST(NULL AS VARCHAR)" if chosen.reason is None else literal(chosen.reason)
    ahead = ", ".join(
        f"orders_{days} AS predicted_orders_{days}, discounted_{days} * worth AS predicted_clv_{days}_amount"
        for days in AHEAD_DAYS
    )
    margin = float(settings.value_margin)
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
            SELECT *, amount * kept_share AS revenue, revenue * {margin!r} AS worth, discounted * worth AS clv,
                   exp(least({_SIDES} * error, 10)) AS side,
                   CASE WHEN log_error IS NOT NULL THEN exp(least({_SIDES} * log_error, 10)) END AS order_side
            FROM valued
        )
        SELECT customer_id, orders AS predicted_orders, orders / order_side AS predicted_orders_low,
               orders * order_side AS predicted_orders_high, likely_low AS likely_orders_low,
               likely_high AS likely_orders_high, amount AS expected_order_value_amount,
               clv AS predicted_clv_amount,
               CASE WHEN log_error IS NOT NULL THEN clv / side END AS predicted_clv_low_amount,
               CASE WHEN log_error IS NOT NULL THEN clv * side END AS predicted_clv_high_amount,
               {ahead}, discounted * revenue AS predicted_net_revenue_amount,
               nullif({margin!r}, 1.0) AS margin_setting, p_alive, p_buy_30, p_buy_90, p_buy_365,
               CAST({as_of} + next_days AS DATE) AS expected_next_order_date, {window.horizon_days} AS horizon_days,
               {literal(chosen.name)} AS model, {literal(likely.model.name)} AS propensity_model, spend_model,
               CASE WHEN {literal(chosen.fit_status)} = 'accepted' AND coalesce(spend_model, '') <> '{GAMMA_GAMMA}'
                    THEN 'fallback' ELSE {literal(chosen.fit_status)} END AS fit_status,
               CASE WHEN clv IS NULL THEN 'no_amount: no purchase of the customer has an amount in a known currency'
                    WHEN spend_model = '{MEAN}' THEN concat_ws('; ', {reason}, {spend_reason})
                    ELSE {reason} END AS fallback_reason
        FROM known"""


def no_predictions_query(reason: str) -> str:
    """SQL of rows that predict nothing and say why, one per customer."""
    columns = dict.fromkeys(SCHEMAS["predictions"], "NULL") | {
        "customer_id": "customer_id",
        "model": "'historic'",
        "fit_status": "'not_fitted'",
        "fallback_reason": literal(reason),
    }
    return f"SELECT {', '.join(f'{value} AS {name}' for name, value in columns.items())} FROM {CUSTOMERS}"
