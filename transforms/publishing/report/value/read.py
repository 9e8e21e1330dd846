"""The page on value, read from the published file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from transforms.publishing.report.content import open_published, read_publication_row
from transforms.publishing.report.value.content import (
    Band,
    Calibration,
    Cell,
    Change,
    Cohort,
    CutPoint,
    Distribution,
    Metrics,
    ModelRun,
    Move,
    Repurchase,
    Standing,
    Survival,
    ValueReport,
    Week,
)

Row = TypeVar("Row")
_MOST_MOVES = 12


def read_value_report(path: Path) -> ValueReport:
    """Read what the page shows from a published file.

    Raises:
        PublicationError: the file is missing, or is no publication of this version.
    """
    with open_published(path) as connection:
        return _read(connection)


def _read(connection: duckdb.DuckDBPyConnection) -> ValueReport:
    def rows(kind: Callable[..., Row], sql: str, values: list[Any] | None = None) -> tuple[Row, ...]:
        return tuple(kind(*row) for row in connection.execute(sql, values).fetchall())

    def one(sql: str) -> tuple[Any, ...]:
        return connection.execute(sql).fetchone() or ()

    (lapsed,) = one("SELECT count(*) FROM customer_rfm WHERE segment = 'Lapsed'")
    (previous_as_of,) = one("SELECT max(previous_as_of_date) FROM segment_summary")
    month_end, months = one("SELECT max(month_end_date), count(DISTINCT month_end_date) FROM rfm_migration")
    # The backtest is shown of the forecast that stands behind the published figures.
    chosen = one("SELECT max(model) FROM clv_backtest_metrics WHERE role = 'chosen'")
    return ValueReport(
        publication=read_publication_row(connection),
        cells=rows(
            Cell,
            "SELECT r_score, fm_score, any_value(segment), count(*) FROM customer_rfm WHERE r_score IS NOT NULL"
            " AND fm_score IS NOT NULL GROUP BY ALL ORDER BY ALL",
        ),
        lapsed=lapsed,
        cut_points=rows(
            lambda measure, currency, values, mode: CutPoint(measure, currency, tuple(values), mode),
            "SELECT measure, currency, list(value ORDER BY cut), any_value(mode) FROM rfm_cut_points"
            " GROUP BY measure, currency"
            " ORDER BY list_position(['recency', 'frequency', 'monetary'], measure), currency",
        ),
        previous_as_of=previous_as_of,
        changes=rows(Change, "SELECT cause, count(*) FROM segment_changes GROUP BY cause ORDER BY 2 DESC, 1"),
        month_end=month_end,
        moves=rows(
            Move,
            "SELECT from_segment, to_segment, customers, from_share FROM rfm_migration"
            " WHERE month_end_date = (SELECT max(month_end_date) FROM rfm_migration) ORDER BY ALL",
        ),
        great_moves=rows(
            Move,
            "SELECT from_segment, to_segment, sum(customers)::BIGINT, NULL FROM rfm_migration"
            f" WHERE from_segment <> to_segment GROUP BY ALL ORDER BY 3 DESC, 1, 2 LIMIT {_MOST_MOVES}",
        ),
        months=months,
        standings=rows(
            Standing,
            "SELECT model, fit_status, fallback_reason, count(*) FROM customer_clv"
            " GROUP BY ALL ORDER BY 4 DESC, 1, 2, 3",
        ),
        distributions=tuple(_distributions(connection)),
        runs=rows(
            _model_run,
            "SELECT part, model, currency, role, fit_status, reason, customers, history_days, log_likelihood,"
            " parameters, standard_errors FROM clv_model_runs"
            " ORDER BY part, list_position(['chosen', 'runner_up', 'candidate'], role), model, currency",
        ),
        metrics=rows(
            Metrics,
            "SELECT model, role, reason, holdout_days, customers, mae, rmse, bias, spearman, auc_p_buy, auc_recency,"
            " interval_coverage_rate, interval_expected_rate, loses_to_naive FROM clv_backtest_metrics"
            " ORDER BY mae NULLS LAST, model",
        ),
        by_decile=rows(
            Calibration,
            "SELECT decile, customers, actual_mean_orders, predicted_mean_orders FROM clv_calibration_by_decile"
            " WHERE model = ? ORDER BY decile",
            [*chosen],
        ),
        by_repeats=rows(
            Calibration,
            "SELECT repeat_orders, customers, actual_mean_orders, predicted_mean_orders FROM clv_calibration_by_x"
            " WHERE model = ? ORDER BY repeat_orders",
            [*chosen],
        ),
        weeks=rows(
            Week,
            "SELECT week, is_holdout, actual_cumulative_orders, predicted_cumulative_orders FROM clv_tracking_weekly"
            # A mean has the weeks of its model, and a plain rule none: then the best model that was tracked is shown.
            " WHERE model = coalesce((SELECT max(model) FROM clv_tracking_weekly WHERE model = split_part(?, '+', 1)),"
            " (SELECT min(t.model) FROM clv_tracking_weekly AS t JOIN clv_backtest_metrics AS m USING (model)"
            " WHERE m.mae = (SELECT min(b.mae) FROM clv_backtest_metrics AS b SEMI JOIN clv_tracking_weekly AS w"
            " USING (model)))) ORDER BY week",
            [*chosen],
        ),
        cohorts=rows(
            lambda month, customers, rates: Cohort(month, customers, tuple(rates)),
            "SELECT cohort_month, any_value(cohort_customers), list(retention_rate ORDER BY month_number)"
            " FROM cohort_retention GROUP BY cohort_month ORDER BY cohort_month",
        ),
        survival=rows(
            Survival,
            "SELECT days_since_first_purchase, survival_rate, survival_low_rate, survival_high_rate"
            " FROM survival_second_purchase ORDER BY 1",
        ),
        repurchase=rows(
            Repurchase, "SELECT window_end_date, buyers, repurchase_rate FROM repurchase_rates ORDER BY window_end_date"
        ),
    )


def _model_run(*values: Any) -> ModelRun:
    *fields, parameters, errors = values
    found = json.loads(parameters) if parameters else {}
    known = json.loads(errors) if errors else {}
    return ModelRun(*fields, parameters={name: (value, known.get(name)) for name, value in found.items()})


def _distributions(connection: duckdb.DuckDBPyConnection) -> list[Distribution]:
    """Value by currency, most buyers first, in bands of a 1–2–5 series around the values that occur."""
    found = []
    for currency, is_predicted, customers, total, mean, median, low, high in connection.execute(
        """
        WITH valued AS (
            SELECT currency, predicted_clv_amount,
                   coalesce(predicted_clv_amount, historic_clv_amount) AS amount,
                   count(predicted_clv_amount) OVER (PARTITION BY currency) > 0 AS is_predicted
            FROM customer_clv
        )
        SELECT currency, is_predicted, count(*), sum(amount), avg(amount)::DECIMAL(18, 2),
               median(amount)::DECIMAL(18, 2), quantile_disc(amount, 0.02), quantile_disc(amount, 0.98)
        FROM valued WHERE predicted_clv_amount IS NOT NULL OR NOT is_predicted
        GROUP BY ALL ORDER BY 3 DESC, 1
        """
    ).fetchall():
        edges = bounds(float(low), float(high))
        counts = connection.execute(
            """
            SELECT list_count(list_filter(?::DOUBLE[], lambda edge: edge <= amount)) AS place, count(*)
            FROM (
                SELECT coalesce(CASE WHEN ? THEN predicted_clv_amount END, historic_clv_amount)::DOUBLE AS amount
                FROM customer_clv
                WHERE currency IS NOT DISTINCT FROM ? AND (NOT ? OR predicted_clv_amount IS NOT NULL)
            )
            GROUP BY place
            """,
            [edges, is_predicted, currency, is_predicted],
        ).fetchall()
        of_place = dict(counts)
        bands = tuple(
            Band(low, high, of_place.get(place, 0))
            for place, (low, high) in enumerate(zip([None, *edges], [*edges, None], strict=True))
        )
        found.append(Distribution(currency, is_predicted, customers, total, mean, median, bands))
    return found


def bounds(low: float, high: float) -> list[float]:
    """Edges of the series 1, 2, 5, 10, … between two values; at least one, and none below a cent."""
    series = [factor * 10.0**power for power in range(-2, 13) for factor in (1, 2, 5)]
    inside = [edge for edge in series if low < edge < high]
    if len(inside) > 11:  # more bands than a chart can name: tens alone
        inside = [edge for edge in inside if str(f"{edge:e}").startswith("1")]
    return inside or [next((edge for edge in series if edge >= high), series[-1])]
