"""What every purchase model can tell."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from transforms.value.sample import Floats, Sample

# Gauss-Legendre on (0, 1): the curves integrated are smooth, five points are good to a millionth.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(5)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2


class PurchaseModel(Protocol):
    """A model of repeat purchases; parameters are positive, times in the unit that they were fitted in.

    Arrays ``x``, ``tx``, ``t`` are histories as :mod:`transforms.value.sample` defines them.
    """

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters."""
        ...

    @property
    def times(self) -> tuple[str, ...]:
        """Parameters that are times: they change with the unit."""
        ...

    def starts(self, rate: float) -> list[Floats]:
        """Parameters to begin the search from, for a mean purchase rate."""
        ...

    def log_likelihood(self, parameters: Floats, sample: Sample) -> tuple[Floats, Floats]:
        """Log-likelihood of each row (n) and its derivatives by the parameters (n × parameters)."""
        ...

    def p_alive(self, parameters: Floats, x: Floats, tx: Floats, t: Floats) -> Floats:
        """Probability of not having left for good by T."""
        ...

    def orders_if_alive(self, parameters: Floats, x: Floats, t: Floats, horizon: float) -> Floats:
        """Expected purchases in (T, T + horizon] of a customer who is alive at T."""
        ...

    def p_buy_if_alive(self, parameters: Floats, x: Floats, t: Floats, horizon: float) -> Floats:
        """Probability of a purchase in (T, T + horizon] of a customer who is alive at T."""
        ...


def expected_orders(
    model: PurchaseModel, parameters: Floats, x: Floats, tx: Floats, t: Floats, horizon: float
) -> Floats:
    """Expected purchases in (T, T + horizon], given the history."""
    return model.p_alive(parameters, x, tx, t) * model.orders_if_alive(parameters, x, t, horizon)


def orders_of_new_customers(model: PurchaseModel, parameters: Floats, ages: Floats) -> Floats:
    """Expected repeat purchases of a customer from the first purchase on, by age."""
    nothing = np.zeros(1)
    alive = float(model.p_alive(parameters, nothing, nothing, nothing)[0])
    return alive * np.array([float(model.orders_if_alive(parameters, nothing, nothing, age)[0]) for age in ages])


def discounted_orders(
    model: PurchaseModel, parameters: Floats, x: Floats, t: Floats, horizon: float, discount: float
) -> Floats:
    """Expected purchases over a finite horizon of a customer alive at T, each discounted at ``discount`` per unit.

    By parts, the integral of exp(−δu) dE(u) is exp(−δh) E(h) + δ ∫ exp(−δu) E(u) du.
    """
    total = np.exp(-discount * horizon) * model.orders_if_alive(parameters, x, t, horizon)
    if discount == 0 or horizon == 0:
        return total
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        until = float(node * horizon)
        factor = discount * horizon * float(weight) * np.exp(-discount * until)
        total = total + factor * model.orders_if_alive(parameters, x, t, until)
    return total
