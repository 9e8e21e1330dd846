"""Which forecast a run takes: the best of its backtest among those that hold for the present too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from transforms.value.backtest import Backtest
from transforms.value.candidates import MODELS, NAIVE, PARETO_NBD, TREES, Fit, parts_of
from transforms.value.diagnostics import Verdict
from transforms.value.models.cohorts import SUFFIX
from transforms.value.predict import Orders


@dataclass(frozen=True)
class Choice:
    """The forecast taken, the next best, and how far it is from the one that was wished for.

    ``fit_status``: accepted, fallback (a model failed its diagnostics and would else have been preferred) or naive.
    """

    name: str
    orders: Orders
    runner_up: str | None
    fit_status: str
    reason: str | None


def choose(backtest: Backtest, fits: Mapping[str, Fit], forecast: Callable[[str], Orders | None]) -> Choice | None:
    """Take the first candidate in the order of the backtest that can forecast the horizon; None if none can.

    ``fits`` are those to all days up to as_of. Without a backtest the order is that of the ladder, then the plain
    rules: nothing shows that a model is better than they are, but nothing shows the contrary either.
    """
    ranking = backtest.ranking or [*MODELS, *NAIVE]
    able = [name for name in ranking if all(part not in fits or fits[part].verdict.accepted for part in parts_of(name))]
    for place, name in enumerate(able):
        orders = forecast(name)
        if orders is not None and orders.is_finite:
            runner_up = able[place + 1] if place + 1 < len(able) else None
            return Choice(name, orders, runner_up, *_status(name, backtest, fits))
    return None


def _status(name: str, backtest: Backtest, fits: Mapping[str, Fit]) -> tuple[str, str | None]:
    # What did not pass is told first: it may be why a rule won.
    verdict = _preferred(backtest, fits)
    failed = None if verdict.accepted else f"{PARETO_NBD.name} not used: {verdict.reason}"
    if name in (*NAIVE, TREES):
        errors = {one.name: one.errors.mae for one in backtest.contenders.values() if one.errors}
        models = [model for model in errors if model not in (*NAIVE, TREES)]
        best = min(models, key=lambda model: errors[model], default=None)
        won = (
            f"naive_wins: over the last {backtest.window.holdout_days} days {name} was off by {errors[name]:.3f} orders"
            f" per customer, {best} by {errors[best]:.3f}"
            if best and name in errors
            else "no_model: no purchase model could be used"
        )
        return "naive", f"{won}; {failed}" if failed else won
    if failed:
        return "fallback", failed
    return "accepted", None if backtest.verdict.accepted else backtest.verdict.reason


def _preferred(backtest: Backtest, fits: Mapping[str, Fit]) -> Verdict:
    """Whether Pareto/NBD, with or without cohorts, holds for the present and held at the cut; else why it did not."""
    names = [PARETO_NBD.name + SUFFIX, PARETO_NBD.name]
    verdicts = [[fits[name].verdict for name in names]]
    verdicts += [[backtest.contenders[name].verdict for name in names]] if backtest.contenders else []
    return next((of_day[-1] for of_day in verdicts if not any(one.accepted for one in of_day)), Verdict(True))
