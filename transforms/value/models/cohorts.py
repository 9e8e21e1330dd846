"""A purchase model whose rates depend on when customers were acquired.

Who is seen first early in the data is often an older, better customer than who is seen first late: the data begin in
the midst of a company's life, or the shop has drawn in ever more casual buyers. A model with one distribution of rates
for all then expects too little of the old and too much of the new. Here the scale of the purchase rates is

    α(T) = α · cohort_ratio^(T / span)

so that mean rates r/α of the oldest customers are 1/cohort_ratio times those of the newest: a time-invariant covariate
on the rate (Fader and Hardie 2007), which needs nothing but the age T that every history has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transforms.value.models.base import CountMixture, PurchaseModel
from transforms.value.sample import Floats, Sample

SUFFIX = "_cohorts"


@dataclass(frozen=True)
class Cohorts:
    """``model`` with the parameter cohort_ratio added; ``span`` is the longest age, in the unit of the times."""

    model: PurchaseModel
    span: float

    @property
    def name(self) -> str:
        """Name of the model within, marked."""
        return self.model.name + SUFFIX

    @property
    def parameters(self) -> tuple[str, ...]:
        """Those of the model within, and cohort_ratio."""
        return (*self.model.parameters, "cohort_ratio")

    @property
    def times(self) -> tuple[str, ...]:
        """Those of the model within."""
        return self.model.times

    def scaled(self, unit: float) -> Cohorts:
        """The same model for times counted in ``unit``."""
        return Cohorts(self.model.scaled(unit), self.span / unit)

    def of_age(self, parameters: Floats, t: Floats | float) -> tuple[PurchaseModel, Floats]:
        """The model within and its parameters for customers of age ``t``."""
        return self.model, self._within(parameters, t)

    def starts(self, rate: float) -> list[Floats]:
        """Those of the model within, without a difference between cohorts."""
        return [np.append(start, 1.0) for start in self.model.starts(rate)]

    def log_likelihood(self, parameters: Floats, sample: Sample) -> tuple[Floats, Floats]:
        """That of the model within, each row at its own α."""
        value, slopes = self.model.log_likelihood(self._within(parameters, sample.t), sample)
        place, ratio = self._place, parameters[-1]
        by_alpha = slopes[:, place] * ratio ** (sample.t / self.span)
        by_ratio = by_alpha * parameters[place] * sample.t / (self.span * ratio)
        slopes[:, place] = by_alpha
        return value, np.column_stack([slopes, by_ratio])

    def p_alive(self, parameters: Floats, x: Floats, tx: Floats, t: Floats) -> Floats:
        """That of the model within."""
        return self.model.p_alive(self._within(parameters, t), x, tx, t)

    def orders_if_alive(self, parameters: Floats, x: Floats, t: Floats, horizon: float | Floats) -> Floats:
        """Those of the model within."""
        return self.model.orders_if_alive(self._within(parameters, t), x, t, horizon)

    def p_buy_if_alive(self, parameters: Floats, x: Floats, t: Floats, horizon: float | Floats) -> Floats:
        """That of the model within."""
        return self.model.p_buy_if_alive(self._within(parameters, t), x, t, horizon)

    def counts_if_alive(
        self, parameters: Floats, x: Floats, t: Floats, horizon: float, factor: float | Floats
    ) -> CountMixture:
        """Those of the model within."""
        return self.model.counts_if_alive(self._within(parameters, t), x, t, horizon, factor)

    @property
    def _place(self) -> int:
        return self.model.parameters.index("alpha")

    def _within(self, parameters: Floats, t: Floats | float) -> Floats:
        """Parameters of the model within; α is a column where ``t`` is one, the others are numbers."""
        within: list[Floats | float] = list(parameters[:-1])
        within[self._place] = parameters[self._place] * parameters[-1] ** (t / self.span)
        # A sequence that unpacks as an array of parameters does: numpy would make no array of numbers and a column.
        return within  # pyright: ignore[reportReturnType]
