"""A published file with the columns that the page on value reads, small enough to check by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from tests.transforms.publishing.report.published import Company
from transforms.settings import Settings

_COLUMNS = {
    "customer_rfm": "customer_id VARCHAR, r_score BIGINT, fm_score BIGINT, segment VARCHAR",
    "rfm_cut_points": "measure VARCHAR, currency VARCHAR, cut BIGINT, value DECIMAL(18, 2), mode VARCHAR",
    "segment_summary": "segment VARCHAR, previous_as_of_date DATE",
    "segment_changes": "customer_id VARCHAR, cause VARCHAR",
    "rfm_migration": "month_end_date DATE, from_segment VARCHAR, to_segment VARCHAR, customers BIGINT,"
    " from_share DOUBLE",
    "customer_clv": "customer_id VARCHAR, currency VARCHAR, historic_clv_amount DECIMAL(18, 2),"
    " predicted_clv_amount DECIMAL(18, 2), model VARCHAR, fit_status VARCHAR, fallback_reason VARCHAR",
    "clv_model_runs": "part VARCHAR, model VARCHAR, currency VARCHAR, role VARCHAR, fit_status VARCHAR,"
    " reason VARCHAR, customers BIGINT, history_days BIGINT, log_likelihood DOUBLE, parameters VARCHAR,"
    " standard_errors VARCHAR",
    "clv_backtest_metrics": "model VARCHAR, role VARCHAR, reason VARCHAR, holdout_days BIGINT, customers BIGINT,"
    " mae DOUBLE, rmse DOUBLE, bias DOUBLE, spearman DOUBLE, auc_p_buy DOUBLE, auc_recency DOUBLE,"
    " interval_coverage_rate DOUBLE, interval_expected_rate DOUBLE, loses_to_naive BOOLEAN",
    "clv_calibration_by_decile": "model VARCHAR, decile BIGINT, customers BIGINT, actual_mean_orders DOUBLE,"
    " predicted_mean_orders DOUBLE",
    "clv_calibration_by_x": "model VARCHAR, repeat_orders BIGINT, customers BIGINT, actual_mean_orders DOUBLE,"
    " predicted_mean_orders DOUBLE",
    "clv_tracking_weekly": "model VARCHAR, week BIGINT, is_holdout BOOLEAN, actual_cumulative_orders BIGINT,"
    " predicted_cumulative_orders DOUBLE",
    "cohort_retention": "cohort_month DATE, month_number BIGINT, cohort_customers BIGINT, retention_rate DOUBLE",
    "survival_second_purchase": "days_since_first_purchase BIGINT, survival_rate DOUBLE, survival_low_rate DOUBLE,"
    " survival_high_rate DOUBLE",
    "repurchase_rates": "window_end_date DATE, buyers BIGINT, repurchase_rate DOUBLE",
    "publication": "run_id VARCHAR, published_at TIMESTAMP, as_of_date DATE, watershed_version VARCHAR,"
    " duckdb_version VARCHAR, storage_version VARCHAR, fingerprint VARCHAR, held_for VARCHAR, confirmed_by VARCHAR,"
    " confirmation_reason VARCHAR, tables VARCHAR, previous VARCHAR",
}
Rows = Mapping[str, Iterable[tuple[Any, ...]]]


def _rows() -> Rows:
    return {
        "customer_rfm": [
            *((f"champion{n}", 5, 5, "Champions") for n in range(6)),
            *((f"lost{n}", 1, 1, "Lost") for n in range(2)),
            ("risk", 2, 3, "At Risk"),
            ("gone", None, None, "Lapsed"),
        ],
        "rfm_cut_points": [
            *(("recency", None, cut, 30 * cut, "computed") for cut in range(1, 5)),
            *(("frequency", None, cut, cut, "fixed") for cut in range(1, 5)),
            *(("monetary", "EUR", cut, 1000.5 * cut, "computed") for cut in range(1, 5)),
        ],
        "segment_summary": [("Champions", "2025-06-29"), ("Lost", "2025-06-29")],
        "segment_changes": [("a", "new_data"), ("b", "time_passed"), ("c", "new_data")],
        "rfm_migration": [
            ("2025-05-31", "Champions", "Lost", 9, 1.0),
            ("2025-06-30", "Champions", "Champions", 3, 0.75),
            ("2025-06-30", "Champions", "At Risk", 1, 0.25),
            ("2025-06-30", "No Purchase", "Champions", 2, 1.0),
        ],
        "customer_clv": [
            ("c1", "EUR", "1000.00", "12.00", "pareto_nbd", "accepted", None),
            ("c2", "EUR", "500.00", "40.00", "pareto_nbd", "accepted", None),
            ("c3", "EUR", "50.00", "700.00", "pareto_nbd", "accepted", None),
            ("c4", "JPY", "90000", None, "historic", "not_fitted", "few_customers: one customer pays in yen"),
        ],
        "clv_model_runs": [
            (
                *("purchases", "pareto_nbd", None, "chosen", "accepted", None, 888, 545, -9594.976),
                *(json.dumps({"r": 0.553, "alpha": 74.046}), json.dumps({"r": 0.0476, "alpha": 5.9})),
            ),
            (
                *("purchases", "nbd", None, "candidate", "rejected", "hessian: the Hessian is flat", 888, 545, -9999.0),
                *('{"r": 0.4}', None),
            ),
            (
                *("spend", "gamma_gamma", "EUR", "chosen", "accepted", None, 444, 545, -4055.92),
                *('{"p": 6.25}', '{"p": 1.0}'),
            ),
        ],
        "clv_backtest_metrics": [
            ("pareto_nbd", "chosen", None, 180, 700, 0.794, 1.6, -0.13, 0.612, 0.755, 0.7, 0.914, 0.93, False),
            ("own_rate", "candidate", None, 180, 700, 1.038, 2.0, 0.47, 0.5, None, 0.7, None, None, False),
            ("nbd", "candidate", None, 180, 700, 1.2, 2.5, 0.9, 0.4, 0.6, 0.7, 0.7, 0.9, True),
        ],
        "clv_calibration_by_decile": [
            *(("pareto_nbd", tenth, 70, tenth / 5, tenth / 5 + 0.1) for tenth in range(1, 11)),
            ("own_rate", 1, 70, 99.0, 99.0),
        ],
        "clv_calibration_by_x": [("pareto_nbd", n, 100 - n, n * 0.9, n * 0.8 + 0.1) for n in range(8)],
        "clv_tracking_weekly": [
            ("pareto_nbd", week, week > 50, week * 40, week * 39.5 + 10 * math.sin(week / 8)) for week in range(1, 79)
        ],
        "cohort_retention": [
            ("2025-04-01", 0, 40, 1.0),
            ("2025-04-01", 1, 40, 0.25),
            ("2025-04-01", 2, 40, None),
            ("2025-05-01", 0, 30, 1.0),
            ("2025-05-01", 1, 30, None),
            ("2025-06-01", 0, 20, None),
        ],
        "survival_second_purchase": [
            (day, math.exp(-day / 60), math.exp(-day / 50), math.exp(-day / 70)) for day in (1, 5, 10, 30, 45, 90, 200)
        ],
        "repurchase_rates": [("2025-05-31", 700, 0.6), ("2025-06-30", 710, 0.65)],
    }


@dataclass(frozen=True)
class ValuedCompany:
    """Rows of each table: nine buyers of the year in euros, one forecast of several, one customer in yen without."""

    rows: Rows = field(default_factory=_rows)

    def having(self, **tables: Iterable[tuple[Any, ...]]) -> ValuedCompany:
        """The same company with other rows in some tables."""
        return replace(self, rows={**self.rows, **tables})


def settings_with_value(home: Path, company: ValuedCompany, published_at: str | None = None) -> Settings:
    """Settings of a home whose published file holds ``company``."""
    settings = Settings(home=home)
    settings.published.parent.mkdir(parents=True, exist_ok=True)
    settings.published.unlink(missing_ok=True)
    moments = {"published_at": published_at} if published_at else {}
    rows = {**company.rows, "publication": Company().published(**moments).rows["publication"]}
    with duckdb.connect(settings.published) as connection:
        connection.execute("CREATE SCHEMA marts")
        for table, columns in _COLUMNS.items():
            connection.execute(f"CREATE TABLE marts.{table} ({columns})")
            for row in rows.get(table, ()):
                connection.execute(f"INSERT INTO marts.{table} VALUES ({', '.join('?' for _ in row)})", list(row))
    return settings
