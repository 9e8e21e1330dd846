"""From a chosen forecast to expected purchases and value of each customer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transforms.value.candidates import LAST_PERIOD, OWN_RATE, Fit, last_period, own_rate
from transforms.value.models import discounted_orders
from transforms.value.sample import Floats, grouped
from transforms.value.summary import Histories, Window
from transforms.value.trees import Forecast

YEAR_DAYS = 365.25
AHEAD_DAYS = (30, 90, 365)
_STEP = 1e-4
_CHUNK = 200_000
# Days of a year halved so often are known to the day.
_HALVINGS = 10


@dataclass(frozen=True)
class Orders:
    """Expected purchases of each history by the days looked ahead, as they come and discounted.

    ``log_error`` is the standard error of the logarithm of the discounted ones over the horizon, None for forecasts
    without one.
    """

    expected: dict[int, Floats]
    discounted: dict[int, Floats]
    log_error: Floats | None

    @property
    def is_finite(self) -> bool:
        """Whether every number is one."""
        known = [*self.expected.values(), *self.discounted.values()]
        known += [] if self.log_error is None else [self.log_error]
        return all(bool(np.isfinite(values).all()) for values in known)

    @classmethod
    def mean_of(cls, parts: Sequence[Orders]) -> Orders:
        """The mean of forecasts over the same days; nothing is known of its error."""
        mean = [
            {days: sum(values[days] for values in side) / len(parts) for days in side[0]}
            for side in ([part.expected for part in parts], [part.discounted for part in parts])
        ]
        return cls(mean[0], mean[1], None)  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class Propensity:
    """P(alive), P(buy) by days, and days until the next purchase is as likely as not (NaN where over a year)."""

    p_alive: Floats
    p_buy: dict[int, Floats]
    next_days: Floats


def daily_discount(yearly_rate: float) -> float:
    """Continuous rate per day of a yearly rate; a year has 365.25 days."""
    return math.log1p(yearly_rate) / YEAR_DAYS


def orders_of_model(fit: Fit, histories: Histories, horizon: int, discount: float) -> Orders:
    """Expected purchases by a fitted model, with the standard error that the Fisher information gives."""
    days = _days(horizon)
    parts = [_orders_of_chunk(fit, *rows, horizon, discount) for rows in _chunks(histories)]
    expected, discounted = (
        {ahead: _joined([part[side][place] for part in parts]) for place, ahead in enumerate(days)} for side in (0, 1)
    )
    return Orders(expected, discounted, _joined([part[2] for part in parts]))


def _orders_of_chunk(
    fit: Fit, x: Floats, tx: Floats, t: Floats, horizon: int, discount: float
) -> tuple[list[Floats], list[Floats], Floats]:
    model, optimum = fit.model, fit.optimum
    if optimum is None or optimum.covariance is None:
        raise LookupError(f"{model.name} was not accepted: {fit.verdict.reason}")
    # Of one (x, T) there are many tx, and what follows from being alive depends on the former two alone.
    first, place = grouped(x, t)
    pair_x, pair_t = x[first], t[first]

    def discounted(parameters: Floats, days: int) -> Floats:
        alive = model.p_alive(parameters, x, tx, t)
        return alive * discounted_orders(model, parameters, pair_x, pair_t, float(days), discount)[place]

    alive = model.p_alive(fit.parameters, x, tx, t)
    expected = [
        alive * model.orders_if_alive(fit.parameters, pair_x, pair_t, float(days))[place] for days in _days(horizon)
    ]
    value = [discounted(fit.parameters, days) for days in _days(horizon)]
    at, slopes = optimum.log_parameters, []
    for number in range(len(at)):
        step = np.zeros_like(at)
        step[number] = _STEP
        rise = discounted(np.exp(at + step), horizon) - discounted(np.exp(at - step), horizon)
        slopes.append(np.divide(rise, 2 * _STEP * value[0], out=np.zeros_like(rise), where=value[0] > 0))
    slope = np.column_stack(slopes)
    variance = np.einsum("ij,jk,ik->i", slope, optimum.covariance, slope)
    return expected, value, np.sqrt(np.maximum(variance, 0))


def orders_of_rule(name: str, histories: Histories, window: Window, discount: float) -> Orders:
    """Expected purchases by a plain rule: evenly over the days.

    :raises ValueError: if ``name`` is no rule.
    """
    if name == LAST_PERIOD:
        a_day = last_period(histories, window.lookback_days, 1.0)
    elif name == OWN_RATE:
        a_day = own_rate(histories, 1.0)
    else:
        raise ValueError(f"{name!r} is no plain rule")
    return _evenly(a_day, window.horizon_days, discount)


def orders_of_trees(
    forecast: Forecast, taught_days: int, histories: Histories, horizon: int, discount: float
) -> Orders:
    """Expected purchases by trees that learned to look ``taught_days`` ahead, evenly over the days."""
    return _evenly(forecast(histories) / taught_days, horizon, discount)


def _evenly(a_day: Floats, horizon: int, discount: float) -> Orders:
    expected = {days: a_day * days for days in _days(horizon)}
    discounted = {days: orders * _mean_discount(days, discount) for days, orders in expected.items()}
    return Orders(expected, discounted, None)


def _days(horizon: int) -> tuple[int, ...]:
    """The horizon first, then the days that every row has."""
    return tuple(dict.fromkeys((horizon, *AHEAD_DAYS)))


def _joined(parts: list[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.zeros(0)


def propensity(fit: Fit, histories: Histories) -> Propensity:
    """P(alive), P(buy) and the next purchase."""
    parameters, model = fit.parameters, fit.model
    parts = []
    for x, tx, t in _chunks(histories):
        alive = model.p_alive(parameters, x, tx, t)
        buys = [alive * model.p_buy_if_alive(parameters, x, t, float(days)) for days in AHEAD_DAYS]
        low, high = np.zeros_like(x), np.full_like(x, AHEAD_DAYS[-1])
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            is_late = alive * model.p_buy_if_alive(parameters, x, t, middle) >= 0.5  # pyright: ignore
            low, high = np.where(is_late, low, middle), np.where(is_late, middle, high)
        parts.append((alive, *buys, np.where(buys[-1] >= 0.5, np.maximum(np.ceil(high), 1), np.nan)))
    if not parts:
        parts = [tuple(np.zeros(0) for _ in range(len(AHEAD_DAYS) + 2))]
    alive, *buys, upcoming = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Propensity(alive, dict(zip(AHEAD_DAYS, buys, strict=True)), upcoming)


def _mean_discount(horizon: int, discount: float) -> float:
    return -math.expm1(-discount * horizon) / (discount * horizon) if discount * horizon else 1.0


def _chunks(histories: Histories) -> list[tuple[Floats, Floats, Floats]]:
    starts = range(0, len(histories.x), _CHUNK)
    return [tuple(v[at : at + _CHUNK] for v in (histories.x, histories.tx, histories.t)) for at in starts]  # pyright: ignore
