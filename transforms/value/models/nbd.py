"""NBD: purchases at a constant rate, rates gamma distributed, nobody leaves (Ehrenberg 1959)."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, psi

from transforms.value.models.base import CountMixture, PurchaseModel, negative_binomial
from transforms.value.sample import Floats, Sample


class Nbd:
    """Parameters r (shape) and alpha (scale, a time) of the purchase rate."""

    name = "nbd"
    parameters = ("r", "alpha")
    times = ("alpha",)

    def scaled(self, unit: float) -> PurchaseModel:
        """Itself: it knows no time but its parameters."""
        return self

    def of_age(self, parameters: Floats, t: float) -> tuple[PurchaseModel, Floats]:
        """Itself: customers of all ages have the same parameters."""
        return self, parameters

    def starts(self, rate: float) -> list[Floats]:
        """Shapes from scattered to even, all with the mean rate of the data."""
        return [np.array([r, r / rate]) for r in (0.5, 0.2, 1.0, 3.0)]

    def log_likelihood(self, parameters: Floats, sample: Sample) -> tuple[Floats, Floats]:
        """ln Γ(r+x)/Γ(r) + r ln α − (r+x) ln(α+T), the likelihood of the purchases' times."""
        r, alpha = parameters
        by_x = gammaln(r + sample.distinct_x) - gammaln(r)
        slope = psi(r + sample.distinct_x) - psi(r)
        log_age = np.log1p(sample.t / alpha)
        # Written with ln(1 + T/α), which keeps its digits where r and α are large together.
        value = by_x[sample.place_of_x] - (r + sample.x) * log_age - sample.x * np.log(alpha)
        by_r = slope[sample.place_of_x] - log_age
        by_alpha = r / alpha - (r + sample.x) / (alpha + sample.t)
        return value, np.column_stack([by_r, by_alpha])

    def p_alive(self, parameters: Floats, x: Floats, tx: Floats, t: Floats) -> Floats:
        """1: the model knows no leaving."""
        return np.ones_like(x)

    def orders_if_alive(self, parameters: Floats, x: Floats, t: Floats, horizon: float | Floats) -> Floats:
        """(r+x)/(α+T) · h."""
        r, alpha = parameters
        return (r + x) / (alpha + t) * horizon

    def p_buy_if_alive(self, parameters: Floats, x: Floats, t: Floats, horizon: float | Floats) -> Floats:
        """1 − ((α+T)/(α+T+h))^(r+x)."""
        r, alpha = parameters
        return -np.expm1(-(r + x) * np.log1p(horizon / (alpha + t)))

    def counts_if_alive(
        self, parameters: Floats, x: Floats, t: Floats, horizon: float, factor: float | Floats
    ) -> CountMixture:
        """NB(r+x, h/(α+T+h)), a gamma distributed rate being left."""
        r, alpha = parameters
        return negative_binomial(r + x, factor * horizon / (alpha + t))


NBD = Nbd()
