"""Pareto/NBD: a customer may leave at any time, at a gamma distributed rate (Schmittlein, Morrison, Colombo 1987).

    L = Γ(r+x) α^r β^s / Γ(r) · [(α+T)^−(r+x) (β+T)^−s + ∫ s (α+τ)^−(r+x) (β+τ)^−(s+1) dτ],  τ from tx to T

The integral is usually written with two ₂F₁, which overflow and cancel. Here it is taken by Gauss-Legendre: over
ln(α+τ) where the integrand falls by less than a factor of e³⁰, which twenty points follow to the last digits; else over
w = ((α+tx)/(α+τ))^k, where k is the mean steepness, so that what remains to integrate has the same height at both ends
and hardly bends between them.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, psi

from transforms.value.models.base import CountMixture, PurchaseModel
from transforms.value.sample import Floats, Sample

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2
_STEEP = 30.0
# Counts of hundreds lie close together: how long a customer stays must be known as finely.
_STAYS, _STAY_WEIGHTS = np.polynomial.legendre.leggauss(20)
_STAYS, _STAY_WEIGHTS = (_STAYS[:, np.newaxis] + 1) / 2, _STAY_WEIGHTS[:, np.newaxis] / 2


class ParetoNbd:
    """Parameters r, alpha of the purchase rate, s, beta of the rate of leaving."""

    name = "pareto_nbd"
    parameters = ("r", "alpha", "s", "beta")
    times = ("alpha", "beta")

    def scaled(self, unit: float) -> PurchaseModel:
        """Itself: it knows no time but its parameters."""
        return self

    def of_age(self, parameters: Floats, t: float) -> tuple[PurchaseModel, Floats]:
        """Itself: customers of all ages have the same parameters."""
        return self, parameters

    def starts(self, rate: float) -> list[Floats]:
        """Shapes from scattered to even, with few and many who leave; times in fortieths of the longest age."""
        shapes = ((0.5, 0.5, 10.0), (0.25, 1.0, 20.0), (1.0, 1.0, 5.0), (0.5, 0.2, 30.0), (2.0, 0.5, 40.0))
        return [np.array([r, r / rate, s, beta]) for r, s, beta in shapes]

    def log_likelihood(self, parameters: Floats, sample: Sample) -> tuple[Floats, Floats]:
        """Of the purchases' times; the integral is differentiated under its sign."""
        r, alpha, s, beta = parameters
        x, tx, t = sample.x, sample.tx, sample.t
        by_x = gammaln(r + sample.distinct_x) - gammaln(r)
        psi_r = psi(r + sample.distinct_x) - psi(r)
        log_a, log_b = np.log(alpha + t), np.log1p(t / beta)
        alive = -(r + x) * log_a - s * log_b
        left, mean_log_a, mean_by_a, mean_log_b, mean_part = _left(parameters, x, tx, t)
        either = np.logaddexp(alive, left)
        p_alive, p_left = np.exp(alive - either), np.exp(left - either)

        value = by_x[sample.place_of_x] + r * np.log(alpha) + either
        by_r = psi_r[sample.place_of_x] + np.log(alpha) - p_alive * log_a - p_left * mean_log_a
        by_alpha = r / alpha - (r + x) * (p_alive / (alpha + t) + p_left * mean_by_a)
        by_s = p_left * (1 / s - mean_log_b) - p_alive * log_b
        by_beta = (p_alive * s * t / (beta + t) + p_left * ((s + 1) * mean_part - 1)) / beta
        return value, np.column_stack([by_r, by_alpha, by_s, by_beta])

    def p_alive(self, parameters: Floats, x: Floats, tx: Floats, t: Floats) -> Floats:
        """The first term of the likelihood over both."""
        r, alpha, s, beta = parameters
        alive = -(r + x) * np.log(alpha + t) - s * np.log1p(t / beta)
        odds = _log_left(parameters, x, tx, t) - alive
        return 0.5 * (1 - np.tanh(odds / 2))

    def orders_if_alive(self, parameters: Floats, x: Floats, t: Floats, horizon: float | Floats) -> Floats:
        """(r+x)(β+T) / ((α+T)(s−1)) · [1 − ((β+T)/(β+T+h))^(s−1)]; the limit for s = 1 is a logarithm."""
        r, alpha, s, beta = parameters
        log_growth = np.log1p(horizon / (beta + t))
        # expm1 keeps the digits on both sides of s = 1; the limit is exact where they would run out.
        span = log_growth if abs(s - 1) < 1e-12 else -np.expm1(-(s - 1) * log_growth) / (s - 1)
        return (r + x) * (beta + t) / (alpha + t) * span

    def p_buy_if_alive(self, parameters: Floats, x: Floats, t: Floats, horizon: float | Floats) -> Floats:
        """∫ of the density of the next purchase while still there, over v = ((α+T)/(α+T+u))^(r+x)."""
        r, alpha, s, beta = parameters
        shape = r + x
        least = np.exp(-shape * np.log1p(horizon / (alpha + t)))
        total = np.zeros(np.broadcast(x, t).shape)
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            v = least + (1 - least) * node
            later = (alpha + t) * np.expm1(-np.log(v) / shape)
            total += weight * np.exp(-s * np.log1p(later / (beta + t)))
        return (1 - least) * total

    def counts_if_alive(
        self, parameters: Floats, x: Floats, t: Floats, horizon: float, factor: float | Floats
    ) -> CountMixture:
        """Rate Gamma(r+x, α+T) and rate of leaving Gamma(s, β+T) are independent of each other, given alive at T.

        The customer is still there after a time u with the probability ((β+T)/(β+T+u))^s. So purchases are
        NB(r+x, u/(α+T+u)) with u the horizon for those who stay over it, else the time of leaving, which is integrated
        over ln(1 + u/c), c being the smaller of α+T and β+T, so that neither purchases nor leaving change too steeply.
        """
        r, alpha, s, beta = parameters
        age = beta + t
        # Later than this there are e⁻³⁰ who have not left.
        longest = np.minimum(np.log1p(horizon / age), _STEEP / s)
        last, scale = age * np.expm1(longest), np.minimum(alpha, beta) + t
        span = np.log1p(last / scale)
        times = scale * np.expm1(span * _STAYS)
        leaving = span * _STAY_WEIGHTS * (scale + times) * s / age * np.exp(-(s + 1) * np.log1p(times / age))
        odds = factor * np.concatenate([times, last[np.newaxis]]) / (alpha + t)
        weight = np.concatenate([leaving, np.exp(-s * longest)[np.newaxis]])
        return CountMixture(r + x, odds / (1 + odds), weight, np.ones_like(x))


def _log_left(parameters: Floats, x: Floats, tx: Floats, t: Floats) -> Floats:
    """Logarithm of the integral; −∞ where the last purchase lies at the end."""
    return _left(parameters, x, tx, t, with_means=False)[0]


def _left(
    parameters: Floats, x: Floats, tx: Floats, t: Floats, with_means: bool = True
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Logarithm of the integral times β^s, and means under its integrand: ln(α+τ), 1/(α+τ), ln(1+τ/β), τ/(β+τ).

    All in τ/β: where hardly anybody leaves, s and β grow together, and powers of β alone would overflow.
    """
    r, alpha, s, beta = parameters
    log_start = np.log(alpha + tx)
    span = np.log(alpha + t) - log_start
    # By how much the logarithm of the integrand falls from one end to the other.
    fall = (r + x - 1) * span + (s + 1) * (np.log1p(t / beta) - np.log1p(tx / beta))
    is_steep = fall > _STEEP
    power = np.divide(fall, span, out=np.ones_like(fall), where=is_steep)
    least = np.exp(-np.where(is_steep, fall, 0.0))
    # What is left of the integrand beside (β+τ).
    slope = np.where(is_steep, power, 0.0) + 1 - r - x
    total = np.zeros(np.broadcast(x, tx, t).shape)
    log_a, by_a, log_b, part = (np.zeros_like(total) for _ in range(4))
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        growth = np.where(is_steep, -np.log(least + (1 - least) * node) / power, span * node)
        # τ − tx without the cancellation of (α+τ) − (α+tx).
        later = (alpha + tx) * np.expm1(growth)
        density = weight * np.exp(slope * growth - (s + 1) * np.log1p(later / (beta + tx)))
        total += density
        if with_means:
            log_a += density * (log_start + growth)
            by_a += density / (alpha + tx + later)
            log_b += density * np.log1p((tx + later) / beta)
            part += density * (tx + later) / (beta + tx + later)
    with np.errstate(divide="ignore"):
        step = np.log(np.where(is_steep, (1 - least) / power, span))
    outside = (1 - r - x) * log_start - s * np.log1p(tx / beta) - np.log(beta + tx)
    value = np.log(s) + outside + step + np.log(total)
    if not with_means:
        return value, total, total, total, total
    return value, log_a / total, by_a / total, log_b / total, part / total


PARETO_NBD = ParetoNbd()
