"""How many purchases a single customer is likely to make: central predictive intervals of the count.

The intervals of :mod:`transforms.value.predict` say how well an expectation is known. These say how far a customer may
stray from it: with all that is unknown of rate and lifetime, given the history, the count of purchases lies in
[low, high] with a probability of at least :data:`SHARE`, and below and above it with at most half of the rest each.
Parameters are taken as they were estimated.

The models know rates that never change. Where those of customers do, the more so the longer the time, the intervals of
frequent buyers, whose past rate is known well, would be far too narrow: on The Complete Journey 66 % of the households
lay within where 83 % should. So the backtest learns a *drift*, the variance of the factor between a customer's rate
before and after the cut, by the likelihood of what came after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transforms.value.candidates import Fit
from transforms.value.models.base import CountMixture
from transforms.value.sample import Floats, grouped
from transforms.value.summary import Histories

SHARE = 0.8
_TAIL = (1 - SHARE) / 2
# Histories come in the order of x, so that those of a chunk reach about as far, and a chunk fits into the cache.
_CHUNK = 8_192
_MOST_FACTOR = 1e6
# Drifts that are tried: a rate that changes by 5 % up to one that changes by more than its size.
_DRIFTS = 0.0025 * 2 ** (np.arange(20) / 2)
# What a drift must add to the log-likelihood: chance alone adds as much one time in 40.
_DRIFT_GAIN = 2.0
# No count is less likely: the few customers who became others do not decide on the drift of all.
_LEAST_LIKELY = 1e-6


@dataclass(frozen=True)
class Intervals:
    """Likely counts of purchases of each history; ``within`` is the probability of these, by the model itself.

    Counts are whole: most intervals hold more than their share.
    """

    low: Floats
    high: Floats
    within: Floats


@dataclass(frozen=True)
class Coverage:
    """Share of customers whose count lay within its interval, the share that is expected there, and the drift."""

    actual: float
    expected: float
    drift: float


def likely_orders(
    fit: Fit, histories: Histories, horizon: int, mean: Floats | None = None, drift: float = 0.0
) -> Intervals:
    """Intervals of the purchases within ``horizon`` days by a fitted model; no more than one a day.

    :param mean: expected purchases where these are not the model's own: rates of purchase of each customer are then
        multiplied by what makes them so.
    :param drift: variance of what the rate of a customer is multiplied by over the horizon.
    """
    parts = [
        central(mixture.spread(drift), place, p_alive, horizon)
        for _, mixture, place, p_alive in _distributions(fit, histories, horizon, mean)
    ]
    nothing = (np.zeros(0),) * 3
    return Intervals(*(np.concatenate(column) for column in zip(*parts or [nothing], strict=True)))


def judge_intervals(fit: Fit, histories: Histories, horizon: int, mean: Floats | None = None) -> Coverage:
    """How many of the customers bought as often ``later`` as their intervals say, for :func:`likely_orders`.

    The drift is learned from half of the customers, the others are judged.
    """
    taught = np.random.default_rng(0).binomial(histories.weight.astype(np.int64), 0.5).astype(np.float64)
    drift = _drift(fit, histories, taught, horizon, mean)
    found = likely_orders(fit, histories, horizon, mean, drift)
    weight = histories.weight - taught if taught.sum() < histories.weight.sum() else histories.weight
    is_within = (found.low <= histories.later) & (histories.later <= found.high)
    actual, expected = (float(np.average(share, weights=weight)) for share in (is_within, found.within))
    return Coverage(actual, expected, drift)


def _drift(fit: Fit, histories: Histories, weight: Floats, horizon: int, mean: Floats | None) -> float:
    """The drift with which ``later`` is likeliest; 0 where none explains it clearly better."""
    told = list(_distributions(fit, histories, horizon, mean))

    def score(drift: float) -> float:
        return sum(
            float(
                np.einsum("i,i", weight[rows], _log_likely(mixture.spread(drift), place, alive, histories.later[rows]))
            )
            for rows, mixture, place, alive in told
        )

    without = best = score(0.0)
    found = 0.0
    for drift in _DRIFTS:
        told_now = score(float(drift))
        if told_now < best:
            break
        best, found = told_now, float(drift)
    return found if best - without > _DRIFT_GAIN else 0.0


def _distributions(
    fit: Fit, histories: Histories, horizon: int, mean: Floats | None
) -> Iterator[tuple[slice, CountMixture, NDArray[np.intp], Floats]]:
    """Chunks of histories: distributions of those who are alive, where each history's stands, and P(alive)."""
    model, parameters = fit.model, fit.parameters
    for start in range(0, len(histories.x), _CHUNK):
        rows = slice(start, start + _CHUNK)
        x, tx, t = histories.x[rows], histories.tx[rows], histories.t[rows]
        p_alive = model.p_alive(parameters, x, tx, t)
        if mean is None:
            # Of one (x, T) there are many tx, and what follows from being alive depends on the former two alone.
            first, place = grouped(x, t)
            yield rows, model.counts_if_alive(parameters, x[first], t[first], float(horizon), 1.0), place, p_alive
        else:
            own = p_alive * model.orders_if_alive(parameters, x, t, float(horizon))
            factor = np.divide(mean[rows], own, out=np.ones_like(own), where=own > 0)
            mixture = model.counts_if_alive(parameters, x, t, float(horizon), np.minimum(factor, _MOST_FACTOR))
            yield rows, mixture, np.arange(len(x)), p_alive


def _log_likely(mixture: CountMixture, place: NDArray[np.intp], p_alive: Floats, count: Floats) -> Floats:
    """Logarithm of P(X = count) of each customer."""
    most = np.zeros_like(mixture.shape)
    np.maximum.at(most, place, count)
    table = reached(mixture, most + 1, np.full_like(most, -1.0))
    table = np.vstack([np.ones_like(most), table])
    k = count.astype(np.intp)
    is_gone = np.where(k == 0, 1 - p_alive, 0.0)
    return np.log(np.maximum(is_gone + p_alive * (table[k, place] - table[k + 1, place]), _LEAST_LIKELY))


def central(
    mixture: CountMixture, place: NDArray[np.intp], p_alive: Floats, most: int
) -> tuple[Floats, Floats, Floats]:
    """Low, high and the probability of both and all between, of customers who are alive with ``p_alive`` and whose
    purchases are then told by the distribution at ``place``; counts above ``most`` are taken for it.

    Low is how many counts k ≥ 1 are reached, P(X ≥ k), with more than 90 %, high how many with more than 10 %.
    """
    surest = np.zeros_like(mixture.shape)
    np.maximum.at(surest, place, p_alive)
    with np.errstate(divide="ignore"):
        table = reached(mixture, np.full_like(surest, most), _TAIL / surest)
        high = _rows_above(table, place, _TAIL / p_alive)
        low = _rows_above(table, place, (1 - _TAIL) / p_alive)
    # Nought is always reached, and what lies above the last row is not.
    table = np.vstack([table, np.zeros_like(surest)])
    at_least_low = np.where(low > 0, p_alive * table[low - 1, place], 1.0)
    return low.astype(np.float64), high.astype(np.float64), at_least_low - p_alive * table[high, place]


def reached(mixture: CountMixture, most: Floats, least: Floats) -> Floats:
    """P(X ≥ k) of each distribution, a row for each k = 1, 2, …; a distribution ends at ``most``, or where no more than
    ``least`` reach k, and may be told as 0 beyond."""
    shape, p, stay, rows = mixture.shape, mixture.p, mixture.stay, np.arange(len(mixture.shape))
    now = mixture.weight * np.exp(shape * np.log1p(-p))
    reach, stays = 1 - now.sum(axis=0), np.ones_like(shape)
    table = []
    for k in range(1, int(most.max(initial=0)) + 1):
        row = np.zeros(len(mixture.shape))
        row[rows] = reach * stays
        table.append(row)
        goes_on = (row[rows] > least[rows]) & (k < most[rows])
        left = np.count_nonzero(goes_on)
        if not left:
            break
        if 2 * left < len(rows):
            rows, shape, stay = rows[goes_on], shape[goes_on], stay[goes_on]
            reach, stays, now, p = reach[goes_on], stays[goes_on], now[:, goes_on], p[:, goes_on]
        now = now * (p * ((shape + k - 1) / k))
        reach = reach - now.sum(axis=0)
        stays = stays * ((stay + k - 1) / (stay + k - 1 + mixture.leave))
    return np.array(table).reshape(len(table), len(mixture.shape))


def _rows_above(table: Floats, place: NDArray[np.intp], bound: Floats) -> NDArray[np.intp]:
    """How many rows of the column at ``place`` exceed a bound; columns fall. By bisection."""
    low, high = np.zeros(len(place), dtype=np.intp), np.full(len(place), len(table))
    for _ in range(len(table).bit_length()):
        middle = (low + high) // 2
        is_above = table[np.minimum(middle, len(table) - 1), place] > bound
        low, high = np.where(is_above & (middle < high), middle + 1, low), np.where(is_above, high, middle)
    return low
