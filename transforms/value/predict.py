"""From a chosen forecast to expected purchases and value of each customer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from transforms.value.candidates import LAST_PERIOD, OWN_RATE, Fit, last_period, own_rate
from transforms.value.models import discounted_orders
from transforms.value.sample import Floats, grouped
from transforms.value.summary import Histories, Window
from transforms.value.trees import Forecast

YEAR_DAYS = 365.25
P_BUY_DAYS = (30, 90, 365)
_STEP = 1e-4
_CHUNK = 200_000
# Days of a year halved so often are known to the day.
_HALVINGS = 10


@dataclass(frozen=True)
class Orders:
    """Expected purchases of each history over the horizon, as they come and discounted.

    ``log_error`` is the standard error of their logarithm, None for forecasts without one.
    """

    expected: Floats
    discounted: Floats
    log_error: Floats | None

    @property
    def is_finite(self) -> bool:
        """Whether every number is one."""
        known = [self.expected, self.discounted, *([] if self.log_error is None else [self.log_error])]
        return all(bool(np.isfinite(values).all()) for values in known)


@dataclass(frozen=True)
class Propensity:
    """P(alive), P(buy) by days, and days until the next purchase is as likely as not (NaN where over a year)."""

    p_alive: Floats
    p_buy: dict[int, Floats]
    next_days: Floats


def daily_discount(yearly_rate: float) -> float:
    """Continuous rate per day of a yearly rate; a year has 365.25 days."""
    return math.log1p(yearly_rate) / YEAR_DAYS


def orders_of_model(fit: Fit, histories: Histories, horizon: float, discount: float) -> Orders:
    """Expected purchases by a fitted model, with the standard error that the Fisher information gives."""
    parts = [_orders_of_chunk(fit, *rows, horizon, discount) for rows in _chunks(histories)]
    if not parts:
        nothing = np.zeros(0)
        return Orders(nothing, nothing, nothing)
    columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Orders(*columns)


def _orders_of_chunk(
    fit: Fit, x: Floats, tx: Floats, t: Floats, horizon: float, discount: float
) -> tuple[Floats, Floats, Floats]:
    model, optimum = fit.model, fit.optimum
    if optimum is None or optimum.covariance is None:
        raise LookupError(f"{model.name} was not accepted: {fit.verdict.reason}")
    covariance = optimum.covariance
    # Of one (x, T) there are many tx, and what follows from being alive depends on the former two alone.
    first, place = grouped(x, t)
    pair_x, pair_t = x[first], t[first]

    def discounted(log_parameters: Floats) -> Floats:
        parameters = np.exp(log_parameters)
        alive = discounted_orders(model, parameters, pair_x, pair_t, horizon, discount)
        return model.p_alive(parameters, x, tx, t) * alive[place]

    at = optimum.log_parameters
    expected = model.p_alive(fit.parameters, x, tx, t) * model.orders_if_alive(
        fit.parameters, pair_x, pair_t, horizon
    ).take(place)
    value = discounted(at)
    slopes = []
    for number in range(len(at)):
        step = np.zeros_like(at)
        step[number] = _STEP
        rise = discounted(at + step) - discounted(at - step)
        slopes.append(np.divide(rise, 2 * _STEP * value, out=np.zeros_like(value), where=value > 0))
    slope = np.column_stack(slopes)
    variance = np.einsum("ij,jk,ik->i", slope, covariance, slope)
    return expected, value, np.sqrt(np.maximum(variance, 0))


def orders_of_rule(name: str, histories: Histories, window: Window, discount: float) -> Orders:
    """Expected purchases by a plain rule: evenly over the horizon."""
    horizon = float(window.horizon_days)
    if name == LAST_PERIOD:
        expected = last_period(histories, window.lookback_days, horizon)
    elif name == OWN_RATE:
        expected = own_rate(histories, horizon)
    else:
        raise ValueError(f"{name!r} is no plain rule")
    return Orders(expected, expected * _mean_discount(horizon, discount), None)


def orders_of_trees(
    forecast: Forecast, taught_days: int, histories: Histories, horizon: float, discount: float
) -> Orders:
    """Expected purchases by trees that learned to look ``taught_days`` ahead, evenly over the horizon."""
    expected = forecast(histories) * horizon / taught_days
    return Orders(expected, expected * _mean_discount(horizon, discount), None)


def propensity(fit: Fit, histories: Histories) -> Propensity:
    """P(alive), P(buy) and the next purchase."""
    parameters, model = fit.parameters, fit.model
    parts = []
    for x, tx, t in _chunks(histories):
        alive = model.p_alive(parameters, x, tx, t)
        buys = [alive * model.p_buy_if_alive(parameters, x, t, float(days)) for days in P_BUY_DAYS]
        low, high = np.zeros_like(x), np.full_like(x, P_BUY_DAYS[-1])
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            is_late = alive * model.p_buy_if_alive(parameters, x, t, middle) >= 0.5  # pyright: ignore
            low, high = np.where(is_late, low, middle), np.where(is_late, middle, high)
        parts.append((alive, *buys, np.where(buys[-1] >= 0.5, np.maximum(np.ceil(high), 1), np.nan)))
    if not parts:
        parts = [tuple(np.zeros(0) for _ in range(len(P_BUY_DAYS) + 2))]
    alive, *buys, upcoming = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Propensity(alive, dict(zip(P_BUY_DAYS, buys, strict=True)), upcoming)


def _mean_discount(horizon: float, discount: float) -> float:
    return -math.expm1(-discount * horizon) / (discount * horizon) if discount * horizon else 1.0


def _chunks(histories: Histories) -> list[tuple[Floats, Floats, Floats]]:
    starts = range(0, len(histories.x), _CHUNK)
    return [tuple(v[at : at + _CHUNK] for v in (histories.x, histories.tx, histories.t)) for at in starts]  # pyright: ignore
