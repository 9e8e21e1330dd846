"""What the page on value says, read from the published file."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from transforms.publishing.report.content import Publication, open_published, read_publication_row

Row = TypeVar("Row")
_MOST_MOVES = 12


@dataclass(frozen=True)
class Cell:
    """A cell of the segment map: scores 1–5, customers, and how many of them changed segment since the last build."""

    r_score: int
    fm_score: int
    segment: str
    customers: int


@dataclass(frozen=True)
class CutPoint:
    """The four cut points of a measure, ascending, in days, purchase days or the currency."""

    measure: str
    currency: str | None
    values: tuple[Decimal, ...]
    mode: str


@dataclass(frozen=True)
class Move:
    """Customers who went from one segment to another, or stayed."""

    from_segment: str
    to_segment: str
    customers: int
    share: float | None


@dataclass(frozen=True)
class Change:
    """Customers whose segment changed since the previous build, by cause."""

    cause: str
    customers: int


@dataclass(frozen=True)
class Band:
    """Buyers whose value lies from ``low`` to below ``high`` (None: no bound)."""

    low: float | None
    high: float | None
    customers: int


@dataclass(frozen=True)
class Distribution:
    """Value of the buyers of one currency: predicted where there is a forecast, else what they have brought."""

    currency: str
    is_predicted: bool
    customers: int
    total: Decimal
    mean: Decimal
    median: Decimal
    bands: tuple[Band, ...]


@dataclass(frozen=True)
class Standing:
    """How many customers the forecast stands for, by model and what became of its fit."""

    model: str
    fit_status: str
    reason: str | None
    customers: int


@dataclass(frozen=True)
class ModelRun:
    """A model of the value run; ``parameters`` name → (value, standard error)."""

    part: str
    model: str
    currency: str | None
    role: str
    fit_status: str
    reason: str | None
    customers: int | None
    history_days: int | None
    log_likelihood: float | None
    parameters: dict[str, tuple[float, float | None]]


@dataclass(frozen=True)
class Metrics:
    """Errors of a forecast over the days held out, and how many customers lay within their 80 % interval."""

    model: str
    role: str
    reason: str | None
    holdout_days: int
    customers: int | None
    mae: float | None
    rmse: float | None
    bias: float | None
    spearman: float | None
    auc: float | None
    auc_recency: float | None
    within: float | None
    expected_within: float | None
    loses_to_naive: bool | None


@dataclass(frozen=True)
class Calibration:
    """Mean purchase days, forecast and real, of a group of customers."""

    group: int
    customers: int
    actual: float
    predicted: float


@dataclass(frozen=True)
class Week:
    """Repeat purchase days up to the end of a week, forecast and real."""

    number: int
    is_holdout: bool
    actual: float
    predicted: float


@dataclass(frozen=True)
class Cohort:
    """Customers by the month of their first purchase; ``rates`` by month since, None where it is not over."""

    month: dt.date
    customers: int
    rates: tuple[float | None, ...]


@dataclass(frozen=True)
class Survival:
    """Share of customers who have not bought again after so many days, with its 95 % interval."""

    days: int
    rate: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Repurchase:
    """Of the buyers of a window of days, those who bought on two days or more."""

    end: dt.date
    buyers: int
    rate: float | None


@dataclass(frozen=True)
class ValueReport:
    """Everything that the page shows."""

    publication: Publication
    cells: tuple[Cell, ...]
    lapsed: int
    cut_points: tuple[CutPoint, ...]
    previous_as_of: dt.date | None
    changes: tuple[Change, ...]
    month_end: dt.date | None
    moves: tuple[Move, ...]
    great_moves: tuple[Move, ...]
    months: int
    standings: tuple[Standing, ...]
    distributions: tuple[Distribution, ...]
    runs: tuple[ModelRun, ...]
    metrics: tuple[Metrics, ...]
    by_decile: tuple[Calibration, ...]
    by_repeats: tuple[Calibration, ...]
    weeks: tuple[Week, ...]
    cohorts: tuple[Cohort, ...]
    survival: tuple[Survival, ...]
    repurchase: tuple[Repurchase, ...]


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
