"""When a fit may be believed. An optimiser that reports success proves nothing: on a flat likelihood it always does."""

from __future__ import annotations

import math
from dataclasses import dataclass

from transforms.value.fitting import Optimum

GRADIENT = 1e-5
CONDITION = 1e8
AGREEING_STARTS = 2
# 95 % of a chi-squared distribution with two degrees of freedom: what leaving must add to twice the log-likelihood.
DROPOUT_GAIN = 5.991
MIN_CUSTOMERS = 500
MIN_HISTORY_DAYS = 180
RECENT_DAYS = 30
FREQUENT_DAYS = 3


@dataclass(frozen=True)
class Verdict:
    """Whether a model may be used; ``reason`` is a code and a sentence where it may not."""

    accepted: bool
    reason: str | None = None


@dataclass(frozen=True)
class Extent:
    """How much there is to learn from: counts of customers and purchase days up to a day, times in days."""

    customers: int
    repeat_customers: int
    frequent_customers: int
    history_days: int
    recent_orders: int


def judge_extent(extent: Extent, part: float = 1.0) -> Verdict:
    """Whether there is enough to fit a model to; ``part`` of the thresholds is asked for, as in a backtest."""
    customers, days = round(MIN_CUSTOMERS * part), round(MIN_HISTORY_DAYS * part)
    if not extent.customers:
        return _no("no_purchases", "nobody has bought anything yet")
    if extent.customers < customers:
        return _no("too_few_customers", f"{extent.customers} customers have bought, a model needs {customers}")
    if extent.history_days < days:
        return _no("too_short_history", f"purchases reach back {extent.history_days} days, a model needs {days}")
    if not extent.repeat_customers:
        return _no("no_repeat_buyers", "nobody has bought on a second day, so that nothing tells how often people buy")
    if not extent.frequent_customers:
        return _no("no_frequent_buyers", f"nobody has bought on {FREQUENT_DAYS} days or more")
    if not extent.recent_orders:
        return _no("no_recent_orders", f"no purchase in the last {RECENT_DAYS} days: the data may have stopped")
    return Verdict(True)


def judge_fit(optimum: Optimum, without_dropout: Optimum | None = None) -> Verdict:
    """Whether an optimum is one. ``without_dropout`` is the fit of the model in which nobody leaves, if this one knows
    leaving: where it explains the data as well, the parameters of leaving mean nothing (a → 0, b → 10⁵)."""
    if optimum.at_bound:
        return _no("at_bound", "a parameter ran to the edge of what is plausible: the data do not determine it")
    if not optimum.gradient_norm < GRADIENT:
        return _no("no_maximum", f"the search ended on a slope of {optimum.gradient_norm:.1e}")
    if without_dropout is not None and 2 * (optimum.value - without_dropout.value) < DROPOUT_GAIN:
        return _no("no_dropout_found", "the data show nobody leaving, so that a model without leaving says the same")
    if optimum.covariance is None:
        return _no("no_curvature", "the likelihood is flat: other parameters explain the data as well")
    if optimum.condition > CONDITION:
        return _no("ill_conditioned", f"the parameters cannot be told apart (condition {optimum.condition:.0e})")
    if optimum.agreeing < min(AGREEING_STARTS, optimum.starts):
        return _no("starts_disagree", f"{optimum.agreeing} of {optimum.starts} searches found the same maximum")
    return Verdict(True)


def judge_cohorts(optimum: Optimum, without_cohorts: Optimum, customers: float) -> Verdict:
    """Whether rates that depend on the time of acquisition explain enough more to pay for their parameter (BIC)."""
    gain = 2 * (optimum.value - without_cohorts.value)
    if not gain > math.log(max(customers, 2.0)):
        return _no("no_cohort_effect", "customers acquired early and late buy alike, so that one rate for all says it")
    return Verdict(True)


def judge_spend(optimum: Optimum) -> Verdict:
    """As :func:`judge_fit`; and q must exceed 1, or the mean amount of a customer would be infinite."""
    verdict = judge_fit(optimum)
    if verdict.accepted and optimum.parameters[1] <= 1:
        return _no("infinite_mean", f"q = {optimum.parameters[1]:.3f} is not above 1, so that no mean amount exists")
    return verdict


def _no(code: str, why: str) -> Verdict:
    return Verdict(False, f"{code}: {why}")
