"""Everything that may forecast purchases: four fitted models, two plain rules, boosted trees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from transforms.value.diagnostics import Verdict, judge_fit
from transforms.value.fitting import Optimum, fit_purchases
from transforms.value.models import MBG_NBD, NBD, PARETO_NBD, POOLED, PurchaseModel
from transforms.value.sample import Floats, Sample
from transforms.value.summary import Histories

LADDER: tuple[PurchaseModel, ...] = (PARETO_NBD, MBG_NBD, NBD, POOLED)
"""The models in the order of preference; each stands in for those before it."""
PROPENSITY: tuple[PurchaseModel, ...] = (MBG_NBD, PARETO_NBD, NBD, POOLED)
"""Models of P(buy) in the order of preference. Never BG/NBD: to it, one-time buyers are alive for ever."""
LAST_PERIOD, OWN_RATE, TREES = "last_period", "own_rate", "boosted_trees"
NAIVE = (LAST_PERIOD, OWN_RATE)
NAMES = (*(model.name for model in LADDER), *NAIVE, TREES)


@dataclass(frozen=True)
class Fit:
    """A model with its optimum, and whether it may be used. Without data to fit there is no optimum."""

    model: PurchaseModel
    optimum: Optimum | None
    verdict: Verdict

    @property
    def parameters(self) -> Floats:
        """Parameters, times in days.

        :raises LookupError: if there was nothing to fit.
        """
        if self.optimum is None:
            raise LookupError(f"{self.model.name} was not fitted: {self.verdict.reason}")
        return self.optimum.parameters


def fit_ladder(sample: Sample) -> dict[str, Fit]:
    """Every model of the ladder fitted to a sample and judged, by name; times in days."""
    if not (sample.x > 0).any():
        verdict = Verdict(False, "no_repeat_buyers: nobody has bought on a second day")
        return {model.name: Fit(model, None, verdict) for model in LADDER}
    optima = {model.name: fit_purchases(model, sample) for model in LADDER if model is not POOLED}
    optima[POOLED.name] = _pooled(sample)
    without = optima[NBD.name]
    fits = {}
    for model in LADDER:
        knows_leaving = model in (PARETO_NBD, MBG_NBD)
        verdict = judge_fit(optima[model.name], without if knows_leaving else None)
        fits[model.name] = Fit(model, optima[model.name], verdict)
    return fits


def propensity_of(fits: Mapping[str, Fit]) -> Fit | None:
    """The fit that P(alive) and P(buy) come from."""
    accepted = (fits[model.name] for model in PROPENSITY if fits[model.name].verdict.accepted)
    return next(accepted, None)


def last_period(histories: Histories, lookback_days: float, horizon_days: float) -> Floats:
    """As many purchases as in the last days."""
    return histories.recent * horizon_days / max(lookback_days, 1)


def own_rate(histories: Histories, horizon_days: float) -> Floats:
    """Repeat purchases at the rate of the customer so far; nothing where a customer is of today."""
    rate = np.divide(histories.x, histories.t, out=np.zeros_like(histories.x), where=histories.t > 0)
    return rate * horizon_days


def _pooled(sample: Sample) -> Optimum:
    """The rate in closed form."""
    orders, time = float(sample.x @ sample.weight), float(sample.t @ sample.weight)
    rate = orders / time
    value = orders * np.log(rate) - rate * time
    return Optimum(np.log([rate]), value, 0.0, 1.0, np.array([[1 / orders]]), 1, 1, False)
