"""What the page on value says."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from transforms.publishing.report.content import Publication


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
