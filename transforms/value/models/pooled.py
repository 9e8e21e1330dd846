"""One purchase rate for everybody: what is left where customers cannot be told apart."""

from __future__ import annotations

import numpy as np

from transforms.value.models.base import CountMixture, PurchaseModel, negative_binomial
from transforms.value.sample import Floats, Sample

# A negative binomial distribution of this shape is a Poisson distribution to the last digits.
_SHAPE = 1e12


class Pooled:
    """Parameter rate: purchases per unit of time."""

    name = "pooled"
    parameters = ("rate",)
    times: tuple[str, ...] = ()

    def scaled(self, unit: float) -> PurchaseModel:
        """Itself: it knows no time but its parameters."""
        return self

    def of_age(self, parameters: Floats, t: float) -> tuple[PurchaseModel, Floats]:
        """Itself: customers of all ages have the same parameters."""
        return self, parameters

    def starts(self, rate: float) -> list[Floats]:
        """The estimate itself."""
        return [np.array([rate])]

    def log_likelihood(self, parameters: Floats, sample: Sample) -> tuple[Floats, Floats]:
        """x ln λ − λT."""
        (rate,) = parameters
        return sample.x * np.log(rate) - rate * sample.t, (sample.x / rate - sample.t)[:, np.newaxis]

    def p_alive(self, parameters: Floats, x: Floats, tx: Floats, t: Floats) -> Floats:
        """1: the model knows no leaving."""
        return np.ones_like(x)

    def orders_if_alive(self, parameters: Floats, x: Floats, t: Floats, horizon: float | Floats) -> Floats:
        """λh."""
        return np.ones_like(x) * parameters[0] * horizon

    def p_buy_if_alive(self, parameters: Floats, x: Floats, t: Floats, horizon: float | Floats) -> Floats:
        """1 − exp(−λh)."""
        return np.ones_like(x) * -np.expm1(-parameters[0] * horizon)

    def counts_if_alive(
        self, parameters: Floats, x: Floats, t: Floats, horizon: float, factor: float | Floats
    ) -> CountMixture:
        """Poisson(λh)."""
        mean = factor * self.orders_if_alive(parameters, x, t, horizon)
        return negative_binomial(np.full_like(x, _SHAPE), mean / _SHAPE)


POOLED = Pooled()
