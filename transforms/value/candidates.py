"""Everything that may forecast purchases: fitted models, plain rules, means of a model and a rule, boosted trees."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from transforms.value.diagnostics import Verdict, judge_cohorts, judge_fit
from transforms.value.fitting import Optimum, fit_purchases
from transforms.value.models import MBG_NBD, NBD, PARETO_NBD, POOLED, Cohorts, PurchaseModel
from transforms.value.models.cohorts import SUFFIX
from transforms.value.sample import Floats, Sample
from transforms.value.summary import Histories

LADDER: tuple[PurchaseModel, ...] = (PARETO_NBD, MBG_NBD, NBD, POOLED)
"""The models in the order of preference; each stands in for those before it."""
PROPENSITY: tuple[PurchaseModel, ...] = (MBG_NBD, PARETO_NBD, NBD, POOLED)
"""Models of P(buy) in the order of preference. Never BG/NBD: to it, one-time buyers are alive for ever."""
LAST_PERIOD, OWN_RATE, TREES = "last_period", "own_rate", "boosted_trees"
NAIVE = (LAST_PERIOD, OWN_RATE)
_AND = "+"


def _with_cohorts(models: tuple[PurchaseModel, ...]) -> tuple[str, ...]:
    """Names of the models, each behind its variant whose rates depend on the time of acquisition."""
    return tuple(name for model in models for name in ([] if model is POOLED else [model.name + SUFFIX]) + [model.name])


MODELS = _with_cohorts(LADDER)
"""Names of all models in the order of preference: one with cohorts holds only where it explains more."""
MEANS = tuple(f"{name}{_AND}{LAST_PERIOD}" for name in MODELS if name != POOLED.name)
"""Means of a model and the last period: errors of a model and of a rule are unlike, and offset each other."""
NAMES = (*MODELS, *MEANS, *NAIVE, TREES)


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
    """Every model, without and with cohorts, fitted to a sample and judged, by name; times in days."""
    if not (sample.x > 0).any():
        verdict = Verdict(False, "no_repeat_buyers: nobody has bought on a second day")
        return {name: Fit(model, None, verdict) for name, model in _models(1.0).items()}
    models = _models(float(sample.t.max()))
    optima = {
        name: _pooled(sample) if model is POOLED else fit_purchases(model, sample)
        for name, model in models.items()
        if not isinstance(model, Cohorts)
    }
    # The dearest last: where MBG/NBD finds no difference between cohorts, Pareto/NBD is not asked.
    for model in sorted((model for model in models.values() if isinstance(model, Cohorts)), key=_is_dear):
        if _is_dear(model) and not _differ(MBG_NBD.name, optima, sample.customers).accepted:
            continue
        plain = optima[model.model.name].log_parameters
        optima[model.name] = fit_purchases(model, sample, [np.append(plain, ratio) for ratio in (0.0, -1.0)])
    return {
        name: Fit(model, optima[name], _judged(name, optima, sample.customers)) if name in optima else _unasked(model)
        for name, model in models.items()
    }


def _is_dear(model: Cohorts) -> bool:
    return model.model is PARETO_NBD


def _unasked(model: PurchaseModel) -> Fit:
    why = f"{MBG_NBD.name}, the cheaper one, shows no difference between customers acquired early and late"
    return Fit(model, None, Verdict(False, f"no_cohort_effect: {why}"))


def _models(span: float) -> dict[str, PurchaseModel]:
    plain = {model.name: model for model in LADDER}
    return {name: plain[name] if name in plain else Cohorts(plain[name.removesuffix(SUFFIX)], span) for name in MODELS}


def _judged(name: str, optima: Mapping[str, Optimum], customers: float) -> Verdict:
    plain = name.removesuffix(SUFFIX)
    suffix = name[len(plain) :]
    if suffix:
        verdict = _differ(plain, optima, customers)
        if not verdict.accepted:
            return verdict
    knows_leaving = plain in (PARETO_NBD.name, MBG_NBD.name)
    return judge_fit(optima[name], optima[NBD.name + suffix] if knows_leaving else None)


def _differ(plain: str, optima: Mapping[str, Optimum], customers: float) -> Verdict:
    return judge_cohorts(optima[plain + SUFFIX], optima[plain], customers)


def propensity_of(fits: Mapping[str, Fit]) -> Fit | None:
    """The fit that P(alive) and P(buy) come from."""
    accepted = (fits[name] for name in _with_cohorts(PROPENSITY) if fits[name].verdict.accepted)
    return next(accepted, None)


def parts_of(name: str) -> tuple[str, ...]:
    """The forecasts that a candidate is the mean of; most are one."""
    return tuple(name.split(_AND))


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
    value = orders * math.log(rate) - rate * time
    return Optimum(np.log([rate]), value, 0.0, 1.0, np.array([[1 / orders]]), 1, 1, False)
