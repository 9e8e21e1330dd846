"""How right the forecasts of amounts were: mean amounts of the days held out, from what came before them."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np

from transforms.value.metrics import Errors, errors
from transforms.value.sample import Floats
from transforms.value.spend import expected_spend, fit_spend, spend_sample
from transforms.value.spend_run import GAMMA_GAMMA, MEAN, MIN_REPEAT_SPENDERS, POOLED_MEAN
from transforms.value.summary import CUSTOMERS, DAYS, Window

# More customers than that tell the errors of three means no better.
MOST_CUSTOMERS = 200_000


@dataclass(frozen=True)
class SpendErrors:
    """Errors of each forecast of a currency's mean amounts, by model; ``customers`` bought before the cut and after."""

    customers: int
    by_model: dict[str, Errors]


def judge_spends(connection: duckdb.DuckDBPyConnection, window: Window) -> dict[str, SpendErrors]:
    """Forecast the mean amount of each customer's paid days after the cut from those up to it, by currency.

    Gamma-Gamma is fitted anew to the days up to the cut; beside it stand the customer's own mean and the mean of all.
    A currency in which nobody paid on both sides of the cut has no entry. Needs the tables ``customers`` and
    ``currencies``.
    """
    found = {}
    for currency, rows in _means_around_cut(connection, window).items():
        n, before, later_n, later = rows
        judged = later_n > 0
        if not judged.any():
            continue
        pooled = float(n @ before / n.sum())
        forecasts = {MEAN: before, POOLED_MEAN: np.full_like(before, pooled)}
        if (n > 1).sum() >= MIN_REPEAT_SPENDERS:
            optimum = fit_spend(spend_sample(n, before))
            if optimum.parameters[1] > 1:
                forecasts[GAMMA_GAMMA] = expected_spend(optimum.parameters, n, before)
        # Each customer counts once, and so does the mean of few days: it is what a forecast is asked for.
        weight = np.ones(int(judged.sum()))
        found[currency] = SpendErrors(
            len(weight), {name: errors(told[judged], later[judged], weight) for name, told in forecasts.items()}
        )
    return found


def _means_around_cut(
    connection: duckdb.DuckDBPyConnection, window: Window
) -> dict[str, tuple[Floats, Floats, Floats, Floats]]:
    """Paid days and their mean amount up to the cut and after it, one row per customer who paid up to the cut."""
    (customers,) = connection.execute(f"SELECT count(*) FROM {CUSTOMERS}").fetchone() or (0,)
    stride = -(-customers // MOST_CUSTOMERS)
    sampled = f"WHERE hash(customer_id) % {stride} = 0" if stride > 1 else ""
    cut = f"DATE '{window.cut.isoformat()}'"
    # Decimals are added exactly, in any order; and the order of rows is that of the figures.
    rows = connection.execute(
        f"""
        WITH paid AS (
            SELECT customer_id, any_value(currency) AS currency,
                   count(*) FILTER (WHERE day <= {cut}) AS n, sum(amount) FILTER (WHERE day <= {cut}) AS before,
                   count(*) FILTER (WHERE day > {cut}) AS later_n, sum(amount) FILTER (WHERE day > {cut}) AS later
            FROM (FROM {DAYS} {sampled}) WHERE amount > 0 GROUP BY customer_id
        )
        SELECT currency, CAST(n AS DOUBLE) AS n, CAST(before AS DOUBLE) / n AS before,
               CAST(later_n AS DOUBLE) AS later_n, coalesce(CAST(later AS DOUBLE) / nullif(later_n, 0), 0) AS later
        FROM paid WHERE n > 0 AND currency IS NOT NULL ORDER BY ALL"""
    ).fetchnumpy()
    currencies = np.asarray(rows["currency"], dtype=str)
    columns = [np.asarray(rows[name], dtype=np.float64) for name in ("n", "before", "later_n", "later")]
    return {
        str(currency): (columns[0][at], columns[1][at], columns[2][at], columns[3][at])
        for currency in np.unique(currencies)
        for at in [currencies == currency]
    }
