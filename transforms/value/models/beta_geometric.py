"""BG/NBD and MBG/NBD: a customer may leave after any purchase, with a probability that is beta distributed.

BG/NBD: Fader, Hardie and Lee (2005), nobody leaves after the first purchase, so that P(alive) of one-time buyers is 1.
MBG/NBD: Batislam, Denizel and Filiztekin (2007), who let customers leave after the first one too. With c = x for the
first and c = x + 1 for the second, both are

    L = Γ(r+x) α^r / Γ(r) · B(a, b+c) / B(a, b) · [(α+T)^−(r+x) + a/(b+c−1) · (α+tx)^−(r+x)]

where the last term is missing for c = 0.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.special import gammaln, hyp2f1, psi

from transforms.value.models.base import CountMixture, PurchaseModel, negative_binomial
from transforms.value.sample import Floats, Sample

# a = 1 is a removable singularity of the expectation: its mean on both sides is right to ten digits.
_NUDGE = 1e-5
_MOST_TERMS = 20_000
# Up to a thousand times the age that a customer has: rates beyond are none.
_GROWTHS = np.linspace(0, np.log(1000), 257) ** 2 / np.log(1000)


class BetaGeometric:
    """Parameters r, alpha of the purchase rate, a, b of the probability of leaving."""

    parameters = ("r", "alpha", "a", "b")
    times = ("alpha",)

    def __init__(self, name: str, leaves_after_first: bool) -> None:
        self.name = name
        self._extra = 1 if leaves_after_first else 0

    def scaled(self, unit: float) -> PurchaseModel:
        """Itself: it knows no time but its parameters."""
        return self

    def of_age(self, parameters: Floats, t: float) -> tuple[PurchaseModel, Floats]:
        """Itself: customers of all ages have the same parameters."""
        return self, parameters

    def starts(self, rate: float) -> list[Floats]:
        """Shapes from scattered to even, with few and many who leave."""
        shapes = ((0.5, 0.5, 2.0), (0.25, 1.0, 3.0), (1.0, 1.0, 1.0), (0.5, 0.2, 5.0), (2.0, 2.0, 8.0))
        return [np.array([r, r / rate / 2, a, b]) for r, a, b in shapes]

    def log_likelihood(self, parameters: Floats, sample: Sample) -> tuple[Floats, Floats]:
        """Of the purchases' times, by the formula above."""
        r, alpha, a, b = parameters
        x, c = sample.x, sample.x + self._extra
        distinct = sample.distinct_x
        end = distinct + self._extra
        place = sample.place_of_x
        by_x = (
            gammaln(r + distinct) - gammaln(r) + gammaln(b + end) - gammaln(b) + gammaln(a + b) - gammaln(a + b + end)
        )
        psi_ab = psi(a + b) - psi(a + b + end)
        psi_b = psi(b + end) - psi(b)
        psi_r = psi(r + distinct) - psi(r)

        log_alive = np.log(alpha + sample.t)
        log_left = np.log(alpha + sample.tx)
        may_have_left = c > 0
        room = np.where(may_have_left, b + c - 1, 1.0)
        alive = -(r + x) * log_alive
        left = np.where(may_have_left, np.log(a) - np.log(room) - (r + x) * log_left, -np.inf)
        either = np.logaddexp(alive, left)
        p_left = np.exp(left - either)
        p_alive = np.exp(alive - either)

        value = by_x[place] + r * np.log(alpha) + either
        by_r = psi_r[place] + np.log(alpha) - p_alive * log_alive - p_left * log_left
        by_alpha = r / alpha - (r + x) * (p_alive / (alpha + sample.t) + p_left / (alpha + sample.tx))
        by_a = psi_ab[place] + p_left / a
        by_b = (psi_ab + psi_b)[place] - p_left / room
        return value, np.column_stack([by_r, by_alpha, by_a, by_b])

    def p_alive(self, parameters: Floats, x: Floats, tx: Floats, t: Floats) -> Floats:
        """1 / (1 + a/(b+c−1) · ((α+T)/(α+tx))^(r+x))."""
        r, alpha, a, b = parameters
        c = x + self._extra
        may_have_left = c > 0
        room = np.where(may_have_left, b + c - 1, 1.0)
        odds = np.log(a) - np.log(room) + (r + x) * (np.log(alpha + t) - np.log(alpha + tx))
        # As the logistic function of the log odds: powers of large x overflow.
        return np.where(may_have_left, 0.5 * (1 - np.tanh(odds / 2)), 1.0)

    def orders_if_alive(self, parameters: Floats, x: Floats, t: Floats, horizon: float | Floats) -> Floats:
        """(a+b+c−1)/(a−1) · [1 − (1−z)^(a−1) ₂F₁(a+b+c−x−1−r, a−1; a+b+c−1; z)], z = h/(α+T+h).

        This is the published expectation after Euler's transformation, which keeps its arguments small.
        """
        r, alpha, a, b = parameters
        if abs(a - 1) < _NUDGE / 2:
            beside = [
                self.orders_if_alive(np.array([r, alpha, 1 + side, b]), x, t, horizon) for side in (-_NUDGE, _NUDGE)
            ]
            return (beside[0] + beside[1]) / 2
        z = horizon / (alpha + t + horizon)
        top = a + b + x + self._extra - 1
        series = _hyp2f1(a + b + self._extra - 1 - r, a - 1, top, z)
        with np.errstate(over="ignore", invalid="ignore"):
            return top / (a - 1) * (1 - np.exp((a - 1) * np.log1p(-z)) * series)

    def p_buy_if_alive(self, parameters: Floats, x: Floats, t: Floats, horizon: float | Floats) -> Floats:
        """1 − ((α+T)/(α+T+h))^(r+x): nobody leaves but at a purchase."""
        r, alpha, _, _ = parameters
        return -np.expm1(-(r + x) * np.log1p(horizon / (alpha + t)))

    def counts_if_alive(
        self, parameters: Floats, x: Floats, t: Floats, horizon: float, factor: float | Floats
    ) -> CountMixture:
        """NB(r+x, h/(α+T+h)) up to the purchase at which the customer leaves; given alive at T, the probability of
        staying at a purchase is Beta(b+c, a), independent of the rate."""
        r, alpha, a, b = parameters
        odds = horizon / (alpha + t)
        if np.any(factor != 1):
            odds = self._odds_of_mean(parameters, x, factor * self.orders_if_alive(parameters, x, t, horizon))
        return negative_binomial(r + x, odds, b + x + self._extra, a)

    def _odds_of_mean(self, parameters: Floats, x: Floats, mean: Floats) -> Floats:
        """h/(α+T) with which so many purchases are expected of a customer who is alive; many leave at one, so that
        twice the rate brings less than twice the purchases. The largest that there is where no rate brings so many."""
        r, _, a, b = parameters
        odds, unit = np.empty_like(mean), np.array([r, 1.0, a, b])
        ahead, no_age = np.expm1(_GROWTHS), np.zeros_like(_GROWTHS)
        for number in np.unique(x):
            is_one = x == number
            # The expectation knows α, T and h by their ratio alone.
            means = self.orders_if_alive(unit, np.full_like(_GROWTHS, number), no_age, ahead)
            # Where no more come, and where the last digits are lost, the curve would have no inverse.
            means = np.maximum.accumulate(np.nan_to_num(means))
            rises = np.append(True, np.diff(means) > 1e-12 * means[-1])
            growth = PchipInterpolator(means[rises], _GROWTHS[rises])(np.minimum(mean[is_one], means[rises][-1]))
            odds[is_one] = np.expm1(growth)
        return odds


def _hyp2f1(a: float, b: float, c: Floats, z: Floats) -> Floats:
    """₂F₁(a, b; c; z) for 0 ≤ z < 1 and c > 0; where SciPy gives up (c − a − b a whole number), by its power series."""
    found = hyp2f1(a, b, c, z)
    lost = ~np.isfinite(found)
    if lost.any():
        found = np.where(lost, 0.0, found)
        c, z = (np.broadcast_to(values, found.shape)[lost] for values in (c, z))
        term, total = np.ones_like(c), np.ones_like(c)
        # What overflows stays no number: whoever asked takes another model.
        with np.errstate(over="ignore", invalid="ignore"):
            for n in range(_MOST_TERMS):
                term = term * (a + n) * (b + n) / ((c + n) * (n + 1)) * z
                total = total + term
                if (np.abs(term) <= 1e-16 * np.abs(total)).all():
                    break
        found[lost] = total
    return found


BG_NBD = BetaGeometric("bg_nbd", leaves_after_first=False)
MBG_NBD = BetaGeometric("mbg_nbd", leaves_after_first=True)
