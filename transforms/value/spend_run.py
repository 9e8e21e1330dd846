"""The spend models of a run, one for each currency, and the SQL that applies them to customers."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np

from transforms.sql import literal
from transforms.value.diagnostics import Verdict, judge_spend
from transforms.value.fitting import Optimum
from transforms.value.spend import SpendSample, fit_spend
from transforms.value.summary import CUSTOMERS

GAMMA_GAMMA, MEAN, POOLED_MEAN = "gamma_gamma", "mean", "pooled_mean"
MIN_REPEAT_SPENDERS = 100
# Bins of 1.6 %: the mean and the mean logarithm of each are kept, so that next to nothing is lost.
_PER_E = 64


@dataclass(frozen=True)
class Spend:
    """How a currency's customers spend. ``kept_share`` is the part of gross amounts that returns leave (0–1),
    ``correlation`` that of purchase days and mean amount, which Gamma-Gamma takes to be none."""

    currency: str
    customers: int
    repeat_customers: int
    optimum: Optimum | None
    verdict: Verdict
    kept_share: float
    correlation: float | None

    @property
    def model(self) -> str:
        """The model used: Gamma-Gamma, or each customer's own mean."""
        return GAMMA_GAMMA if self.verdict.accepted else MEAN


def fit_spends(connection: duckdb.DuckDBPyConnection, net: dict[str, float]) -> list[Spend]:
    """A spend model for each currency of ``customers``; ``net`` is the net revenue by currency."""
    rows = connection.execute(
        f"""SELECT currency, count(*) FILTER (WHERE paid_days > 0), count(*) FILTER (WHERE paid_days > 1),
                   CAST(sum(paid) AS DOUBLE), corr(n, CAST(paid AS DOUBLE) / paid_days) FILTER (WHERE paid_days > 1)
        FROM {CUSTOMERS} JOIN currencies USING (code) GROUP BY currency ORDER BY currency"""
    ).fetchall()
    spends = []
    for currency, customers, repeated, gross, correlation in rows:
        optimum, verdict = _fit(connection, currency, repeated)
        kept = min(max(net.get(currency, gross or 0.0) / gross, 0.0), 1.0) if gross else 1.0
        # Rounded, because sums of binary fractions depend on the order of rows.
        known = round(float(correlation), 6) if correlation is not None and np.isfinite(correlation) else None
        spends.append(Spend(currency, customers, repeated, optimum, verdict, kept, known))
    return spends


def _fit(connection: duckdb.DuckDBPyConnection, currency: str, repeated: int) -> tuple[Optimum | None, Verdict]:
    if repeated < MIN_REPEAT_SPENDERS:
        needed = f"{repeated} customers have paid on two days or more, the spend model needs {MIN_REPEAT_SPENDERS}"
        return None, Verdict(False, f"too_few_spenders: {needed}")
    # Sums of decimals, because those of binary fractions depend on the order of rows.
    columns = connection.execute(
        f"""SELECT paid_days AS n, sum(CAST(z AS DECIMAL(38, 8))) AS z, sum(CAST(ln(z) AS DECIMAL(38, 12))) AS log_z,
                   count(*) AS weight
        FROM (SELECT paid_days, CAST(paid AS DOUBLE) / paid_days AS z FROM {CUSTOMERS} JOIN currencies USING (code)
              WHERE currency = {literal(currency)} AND paid_days > 0)
        GROUP BY paid_days, floor({_PER_E} * ln(z)) ORDER BY paid_days, floor({_PER_E} * ln(z))"""
    ).fetchnumpy()
    n, z, log_z, weight = (np.asarray(columns[name], dtype=np.float64) for name in ("n", "z", "log_z", "weight"))
    optimum = fit_spend(SpendSample(n, z / weight, log_z / weight, weight))
    return optimum, judge_spend(optimum)


def spend_rows(spends: list[Spend]) -> list[dict[str, float | str]]:
    """Rows of the table that the SQL of :func:`spend_sql` joins: parameters and covariances of their logarithms."""
    rows = []
    for spend in spends:
        optimum = spend.optimum if spend.verdict.accepted else None
        p, q, gamma = optimum.parameters if optimum else (0.0, 2.0, 0.0)
        covariance = optimum.covariance if optimum and optimum.covariance is not None else np.zeros((3, 3))
        row: dict[str, float | str] = {
            "currency": spend.currency,
            "spend_model": spend.model,
            "p": float(p),
            "q": float(q),
            "gamma": float(gamma),
            "kept_share": spend.kept_share,
        }
        for one in range(3):
            for other in range(one, 3):
                row[f"c{one}{other}"] = float(covariance[one, other]) * (1 if one == other else 2)
        rows.append(row)
    return rows


# Over columns n (purchase days with an amount) and z (their mean), and the parameters of the currency.
EXPECTED = f"""CASE WHEN spend_model = '{MEAN}' THEN CASE WHEN n > 0 THEN z END
    ELSE p * (gamma + n * z) / (p * n + q - 1) END"""
_BY_P, _BY_Q, _BY_GAMMA = (
    "((q - 1) / (p * n + q - 1))",
    "(-q / (p * n + q - 1))",
    "(gamma / (gamma + n * z))",
)
VARIANCE = f"""CASE WHEN spend_model = '{MEAN}' THEN 0.0 ELSE
    c00 * {_BY_P} * {_BY_P} + c11 * {_BY_Q} * {_BY_Q} + c22 * {_BY_GAMMA} * {_BY_GAMMA}
    + c01 * {_BY_P} * {_BY_Q} + c02 * {_BY_P} * {_BY_GAMMA} + c12 * {_BY_Q} * {_BY_GAMMA} END"""
