"""The backtest of a run: every candidate forecasts the days held out from what came before them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from transforms.value import trees
from transforms.value.candidates import (
    LAST_PERIOD,
    MEANS,
    NAIVE,
    OWN_RATE,
    TREES,
    Fit,
    fit_ladder,
    last_period,
    own_rate,
    parts_of,
    propensity_of,
)
from transforms.value.diagnostics import Verdict, judge_extent
from transforms.value.intervals import Coverage, judge_intervals
from transforms.value.metrics import Errors, auc, deciles, errors, ranks
from transforms.value.models import orders_of_cohorts
from transforms.value.sample import Floats, sample_of
from transforms.value.summary import (
    Histories,
    Window,
    extent,
    first_days,
    histories_at_cut,
    histories_to_teach,
    repeat_orders_by_day,
)

# Of what a fit for the present needs, the days before the cut must offer half.
PART = 0.5
# A sum that is off by more than 15 %, than chance allows and than twice as much as the best of all, is wrong.
MOST_BIAS, _SIGMAS, _TIMES = 0.15, 2.0, 2.0
MOST_ORDERS = 7
# Of half as many customers the share within their intervals is known to 0.3 %.
_COVERED_CUSTOMERS = 20_000


@dataclass(frozen=True)
class Contender:
    """A candidate in the backtest; without a forecast ``verdict`` says why."""

    name: str
    verdict: Verdict
    forecast: Floats | None = None
    errors: Errors | None = None
    auc: float | None = None
    coverage: Coverage | None = None

    @property
    def is_naive(self) -> bool:
        """Whether it is a plain rule."""
        return self.name in NAIVE


@dataclass(frozen=True)
class Backtest:
    """Outcome of a backtest. ``ranking`` are the names with a forecast, the smallest mean absolute error first."""

    window: Window
    verdict: Verdict
    customers: int = 0
    histories: Histories | None = None
    contenders: dict[str, Contender] = field(default_factory=dict)
    fits: dict[str, Fit] = field(default_factory=dict)
    auc_recency: float | None = None
    propensity: str | None = None

    @property
    def ranking(self) -> list[str]:
        """Best first: by mean absolute error among those whose sum is about right, then the others.

        The mean absolute error alone rewards forecasts of nothing, because most customers buy nothing: a rule that sees
        two thirds of the purchases coming can beat the very model that the data were drawn from.
        """
        told = [(one.name, one.errors) for one in self.contenders.values() if one.errors]
        offs = {name: abs(found.bias) if found.bias is not None else 0.0 for name, found in told}
        actual = max((found.actual for _, found in told), default=0.0)
        bound = max(MOST_BIAS, _SIGMAS / math.sqrt(max(actual, 1.0)), _TIMES * min(offs.values(), default=0.0))
        return [name for name, _ in sorted(told, key=lambda one: (offs[one[0]] > bound, one[1].mae))]

    def without_forecasts(self) -> Backtest:
        """Itself without the forecasts of each history, which are large where customers are many."""
        contenders = {name: replace(one, forecast=None) for name, one in self.contenders.items()}
        return replace(self, histories=None, contenders=contenders)

    @property
    def best_naive(self) -> float:
        """Mean absolute error of the better plain rule."""
        return min((_mae(one) for one in self.contenders.values() if one.is_naive and one.errors), default=np.inf)


def _mae(contender: Contender) -> float:
    return contender.errors.mae if contender.errors else np.inf


def run_backtest(connection: duckdb.DuckDBPyConnection, window: Window) -> Backtest:
    """Fit up to the cut, forecast the days after it, compare. Needs the table ``customers``."""
    verdict = judge_extent(extent(connection, window, at_cut=True), PART)
    if not verdict.accepted:
        return Backtest(window, Verdict(False, f"no_backtest: up to {window.cut}, {verdict.reason}"))
    known = histories_at_cut(connection, window)
    fits = fit_ladder(sample_of(known.x, known.tx, known.t, known.weight))
    days = float(window.holdout_days)
    contenders = {name: _model(name, fit, known, window) for name, fit in fits.items()}
    contenders[LAST_PERIOD] = Contender(LAST_PERIOD, Verdict(True), last_period(known, days, days))
    contenders[OWN_RATE] = Contender(OWN_RATE, Verdict(True), own_rate(known, days))
    contenders |= {name: _mean(name, contenders) for name in MEANS}
    contenders[TREES] = _trees(connection, known, window)
    contenders |= _covered(contenders, fits, known, window)
    propensity = propensity_of(fits)
    later_ranks = ranks(known.later, known.weight)
    return Backtest(
        window=window,
        verdict=verdict,
        customers=int(known.weight.sum()),
        histories=known,
        contenders={name: _judged(contender, known, later_ranks) for name, contender in contenders.items()},
        fits=fits,
        auc_recency=auc(known.tx - known.t, known.bought > 0, known.weight),
        propensity=propensity.model.name if propensity else None,
    )


def _mean(name: str, contenders: Mapping[str, Contender]) -> Contender:
    parts = [contenders[part] for part in parts_of(name)]
    forecasts = [part.forecast for part in parts if part.forecast is not None]
    if len(forecasts) < len(parts):
        missing = next(part for part in parts if part.forecast is None)
        return Contender(name, missing.verdict)
    return Contender(name, Verdict(True), np.mean(forecasts, axis=0))


def _model(name: str, fit: Fit, known: Histories, window: Window) -> Contender:
    if not fit.verdict.accepted:
        return Contender(name, fit.verdict)
    alive = fit.model.p_alive(fit.parameters, known.x, known.tx, known.t)
    forecast = alive * fit.model.orders_if_alive(fit.parameters, known.x, known.t, float(window.holdout_days))
    p_buy = alive * fit.model.p_buy_if_alive(fit.parameters, known.x, known.t, float(window.propensity_days))
    if not np.isfinite(forecast + p_buy).all():
        return Contender(name, Verdict(False, "not_finite: the model cannot be evaluated for some customer"))
    return Contender(name, fit.verdict, forecast, auc=auc(p_buy, known.bought > 0, known.weight))


def _covered(
    contenders: Mapping[str, Contender], fits: Mapping[str, Fit], known: Histories, window: Window
) -> dict[str, Contender]:
    """Those with a model, and how many customers bought as often as their intervals say."""
    rows, some = known.one_in_many(_COVERED_CUSTOMERS)
    found = {}
    for name, contender in contenders.items():
        model, *rules = parts_of(name)
        if contender.forecast is not None and model in fits:
            mean = contender.forecast[rows] if rules else None
            found[name] = replace(contender, coverage=judge_intervals(fits[model], some, window.holdout_days, mean))
    return found


def _trees(connection: duckdb.DuckDBPyConnection, known: Histories, window: Window) -> Contender:
    if not trees.is_installed():
        return Contender(
            TREES, Verdict(False, "not_installed: scikit-learn is not there, it comes with the extra trees")
        )
    try:
        forecast = trees.teach(histories_to_teach(connection, window))
    except ValueError as error:
        return Contender(TREES, Verdict(False, f"cannot_learn: {error}"))
    return Contender(TREES, Verdict(True), forecast(known) * window.holdout_days / window.training_days)


def _judged(contender: Contender, known: Histories, later_ranks: Floats) -> Contender:
    if contender.forecast is None:
        return contender
    return replace(contender, errors=errors(contender.forecast, known.later, known.weight, later_ranks))


Means = list[tuple[str, int, int, float, float]]


def calibration_by_x(backtest: Backtest) -> Means:
    """(model, repeat orders before the cut, customers, actual mean, predicted mean); the last group is open."""
    return _means(backtest, lambda known, forecast: np.minimum(known.x, MOST_ORDERS))


def calibration_by_decile(backtest: Backtest) -> Means:
    """(model, tenth by forecast, customers, actual mean, predicted mean)."""
    return _means(backtest, lambda known, forecast: deciles(forecast, known.weight))


def _means(backtest: Backtest, group_of: Callable[[Histories, Floats], NDArray[Any]]) -> Means:
    known, rows = backtest.histories, []
    for name in backtest.ranking if known else ():
        forecast = backtest.contenders[name].forecast
        if known is None or forecast is None:
            continue
        group = group_of(known, forecast)
        for number in np.unique(group):
            within = group == number
            weight = known.weight[within]
            actual, predicted = (float(v[within] @ weight / weight.sum()) for v in (known.later, forecast))
            rows.append((name, int(number), int(weight.sum()), actual, predicted))
    return rows


def tracking(connection: duckdb.DuckDBPyConnection, backtest: Backtest) -> list[tuple[str, int, int, float]]:
    """(model, week, actual repeat orders of the week, expected ones), by the fits up to the cut; whole weeks alone."""
    window = backtest.window
    if backtest.histories is None:
        return []
    acquired = first_days(connection, window)
    ends = np.arange(6, window.history_days + 1, 7)
    actual = np.diff(np.cumsum(repeat_orders_by_day(connection, window))[ends], prepend=0)
    rows = []
    for name, fit in backtest.fits.items():
        if not fit.verdict.accepted:
            continue
        so_far = orders_of_cohorts(fit.model, fit.parameters, acquired, window.history_days + 1)
        expected = np.diff(so_far[ends], prepend=0)
        rows += [
            (name, week, int(came), float(should))
            for week, (came, should) in enumerate(zip(actual, expected, strict=True), 1)
        ]
    return rows
