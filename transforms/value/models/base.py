"""What every purchase model can tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from transforms.value.sample import Floats, Sample

# Gauss-Legendre on (0, 1): the curves integrated are smooth, five points are good to a millionth.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(5)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2
_WEEK = 7


@dataclass(frozen=True)
class CountMixture:
    """How many purchases n customers will make who are alive, as mixtures of negative binomial distributions.

    A customer's purchases go on for one of the times that the nodes stand for, and are NB(``shape``, ``p``) then:
    P(k) = Γ(shape+k) / (Γ(shape) k!) · (1−p)^shape · p^k. ``p`` and ``weight`` are nodes × n, weights of a customer add
    up to 1. Who may leave at a purchase stays with a probability from Beta(``stay``, ``leave``); with ``leave`` 0,
    nobody leaves so.
    """

    shape: Floats
    p: Floats
    weight: Floats
    stay: Floats
    leave: float = 0.0

    def spread(self, drift: float) -> CountMixture:
        """The same where rates of purchase do not stay what they were, but are multiplied by a factor of mean 1 and
        variance ``drift``, different for each customer. The product of two gamma distributed numbers is taken for the
        gamma distributed one of its mean and variance; means stay, but where customers leave at purchases fall a bit.
        """
        if not drift:
            return self
        shape = 1 / (1 / self.shape + drift + drift / self.shape)
        odds = self.p / (1 - self.p) * (self.shape / shape)
        return replace(self, shape=shape, p=odds / (1 + odds))


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

    def scaled(self, unit: float) -> PurchaseModel:
        """The same model for times counted in ``unit``."""
        ...

    def of_age(self, parameters: Floats, t: float) -> tuple[PurchaseModel, Floats]:
        """The model without covariates that holds for customers of age ``t``, and its parameters."""
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

    def orders_if_alive(self, parameters: Floats, x: Floats, t: Floats, horizon: float | Floats) -> Floats:
        """Expected purchases in (T, T + horizon] of a customer who is alive at T."""
        ...

    def p_buy_if_alive(self, parameters: Floats, x: Floats, t: Floats, horizon: float | Floats) -> Floats:
        """Probability of a purchase in (T, T + horizon] of a customer who is alive at T."""
        ...

    def counts_if_alive(
        self, parameters: Floats, x: Floats, t: Floats, horizon: float, factor: float | Floats
    ) -> CountMixture:
        """Distribution of the purchases in (T, T + horizon] of customers who are alive at T.

        Rates of purchase are changed such that their mean is ``factor`` times that of :meth:`orders_if_alive`.
        """
        ...


def negative_binomial(shape: Floats, odds: Floats, stay: Floats | None = None, leave: float = 0.0) -> CountMixture:
    """A mixture of one: p = odds / (1 + odds)."""
    p = (odds / (1 + odds))[np.newaxis]
    return CountMixture(shape, p, np.ones_like(p), np.ones_like(shape) if stay is None else stay, leave)


def expected_orders(
    model: PurchaseModel, parameters: Floats, x: Floats, tx: Floats, t: Floats, horizon: float | Floats
) -> Floats:
    """Expected purchases in (T, T + horizon], given the history."""
    return model.p_alive(parameters, x, tx, t) * model.orders_if_alive(parameters, x, t, horizon)


def orders_of_new_customers(model: PurchaseModel, parameters: Floats, ages: Floats) -> Floats:
    """Expected repeat purchases of a customer from the first purchase on, by age."""
    nothing = np.zeros_like(ages)
    return expected_orders(model, parameters, nothing, nothing, nothing, ages)


def orders_of_cohorts(model: PurchaseModel, parameters: Floats, acquired: Floats, days: int) -> Floats:
    """Expected repeat purchases of all customers together up to the end of each of ``days`` days, from none.

    ``acquired`` counts the customers by the day of their first purchase; the last of its days is that of age 0. Those
    of one week are told by the parameters of its middle.
    """
    ages = np.arange(days, dtype=np.float64)
    total = np.zeros(days)
    # A model without covariates is the same for all: one week as long as the history.
    step = len(acquired) if model.of_age(parameters, 0.0)[0] is model else _WEEK
    for start in range(0, len(acquired), step):
        part = acquired[start : start + step]
        middle = len(acquired) - 1 - start - (len(part) - 1) / 2
        by_age = orders_of_new_customers(*model.of_age(parameters, middle), ages[: days - start])
        total[start:] += np.convolve(part, by_age)[: days - start]
    return total


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
