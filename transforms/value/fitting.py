"""Maximum likelihood on log parameters: several starts, analytic gradient, Newton polish, Fisher information."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from transforms.value.models.base import PurchaseModel
from transforms.value.sample import COARSE, FINE, Floats, Sample, binned

BOUND = 12.0
LONGEST_AGE = 40.0
# Below this many distinct histories the fit is exact: rows are so few that binning would save nothing.
EXACT_ROWS = 60_000
_COARSE_ROWS = 5_000
_AGREE = 0.1
_POLISH_STEPS = 8
_LONGEST_STEP = 1.0
_STEP = 1e-4

# Mean negative log-likelihood and its gradient by the log parameters.
Objective = Callable[[Floats], tuple[float, Floats]]


@dataclass(frozen=True)
class Optimum:
    """Where a search ended, in log parameters.

    ``value`` is the total log-likelihood, ``gradient_norm`` the largest slope of its mean, ``covariance`` the inverse
    of the Fisher information (None where the Hessian is not positive definite).
    """

    log_parameters: Floats
    value: float
    gradient_norm: float
    condition: float
    covariance: Floats | None
    starts: int
    agreeing: int
    at_bound: bool

    @property
    def parameters(self) -> Floats:
        """The parameters themselves."""
        return np.exp(self.log_parameters)

    @property
    def log_errors(self) -> Floats | None:
        """Standard errors of the log parameters."""
        return None if self.covariance is None else np.sqrt(np.diag(self.covariance))

    @property
    def standard_errors(self) -> Floats | None:
        """Standard errors of the parameters, by the delta method."""
        return None if self.log_errors is None else self.parameters * self.log_errors


def fit_purchases(model: PurchaseModel, sample: Sample, near: Sequence[Floats] = ()) -> Optimum:
    """Fit a purchase model; time in ``sample`` is in days where it is large enough to be binned.

    :param near: log parameters to begin from, beside the first start of the model and in place of its others.
    :raises ValueError: if nobody in the sample bought twice, or nobody was observed: then every fit "succeeds".
    """
    if not len(sample.x) or sample.t.max() <= 0 or sample.x.max() <= 0:
        raise ValueError("nothing to fit: no repeat purchase in the sample")
    fine = binned(sample, FINE) if len(sample.x) > EXACT_ROWS else sample
    coarse = binned(sample, COARSE) if len(sample.x) > _COARSE_ROWS else sample
    unit = float(sample.t.max()) / LONGEST_AGE
    fine, coarse = fine.scaled(unit), coarse.scaled(unit)
    rate = float((coarse.x * coarse.weight).sum() / (coarse.t * coarse.weight).sum())
    scaled = model.scaled(unit)
    shift = np.array([_shift(model, name, np.log(unit)) for name in model.parameters])
    starts = [np.log(start) for start in scaled.starts(rate)]
    starts = [start - shift for start in near] + starts[: 1 if near else None]
    found = maximum(_objective(scaled, fine), starts, fine.customers, _objective(scaled, coarse))
    orders = float((fine.x * fine.weight).sum())
    return Optimum(
        **{
            **vars(found),
            "log_parameters": found.log_parameters + shift,
            "value": found.value - orders * np.log(unit),
        }
    )


def _shift(model: PurchaseModel, name: str, log_unit: float) -> float:
    """What changes in a log parameter with the unit of time: times grow, rates shrink."""
    return log_unit if name in model.times else -log_unit if name == "rate" else 0.0


def log_likelihood(model: PurchaseModel, parameters: Floats, sample: Sample) -> float:
    """Total log-likelihood of a sample."""
    return float(model.log_likelihood(parameters, sample)[0] @ sample.weight)


def _objective(model: PurchaseModel, sample: Sample) -> Objective:
    share = sample.weight / sample.weight.sum()

    def objective(log_parameters: Floats) -> tuple[float, Floats]:
        parameters = np.exp(log_parameters)
        value, slopes = model.log_likelihood(parameters, sample)
        # Not by BLAS, whose threads wait for each other on a busy machine longer than the sum takes.
        return -float(np.einsum("i,i", share, value)), -np.einsum("i,ij->j", share, slopes) * parameters

    return objective


def maximum(objective: Objective, starts: list[Floats], total: float, rough: Objective | None = None) -> Optimum:
    """Search from every start on ``rough`` (default ``objective``), then from the best on ``objective``.

    ``total`` is the number of customers, by which the mean becomes the total log-likelihood.
    """
    ends = [_descend(rough or objective, start) for start in starts]
    best = min(ends, key=lambda end: end[1])
    agree = sum((end[1] - best[1]) * total <= _AGREE * max(1.0, total / 1e6) for end in ends)
    at, value = _descend(objective, best[0]) if rough else best
    at, gradient, hessian = _polish(objective, at)
    value = objective(at)[0]
    values = np.linalg.eigvalsh(hessian)
    is_positive = bool(np.isfinite(values).all() and values[0] > 0)
    return Optimum(
        log_parameters=at,
        value=-value * total,
        gradient_norm=float(np.abs(gradient).max()),
        condition=float(values[-1] / values[0]) if is_positive else float("inf"),
        covariance=np.asarray(np.linalg.inv(hessian) / total, dtype=np.float64) if is_positive else None,
        starts=len(starts),
        agreeing=int(agree),
        at_bound=bool((np.abs(at) > BOUND - 1e-3).any()),
    )


def _descend(objective: Objective, start: Floats) -> tuple[Floats, float]:
    bounds = [(-BOUND, BOUND)] * len(start)
    begin = np.clip(start, -BOUND + 0.1, BOUND - 0.1)
    found = minimize(
        objective,
        begin,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-7},
    )
    return np.asarray(found.x, dtype=np.float64), float(found.fun)


def _polish(objective: Objective, at: Floats) -> tuple[Floats, Floats, Floats]:
    """Newton steps while they lead on; returns the point, its gradient and its Hessian.

    Flat directions, as those of a and b where few leave, are where the search before gives up early.
    """
    value, gradient = objective(at)
    hessian = _hessian(objective, at)
    for _ in range(_POLISH_STEPS):
        if np.abs(gradient).max() < 1e-9 or not np.isfinite(hessian).all() or np.linalg.eigvalsh(hessian)[0] <= 0:
            break
        step = np.linalg.solve(hessian, gradient)
        there = at - step * min(1.0, _LONGEST_STEP / np.abs(step).max())
        if np.abs(there).max() > BOUND:
            break
        value_there, gradient_there = objective(there)
        if not value_there <= value + 1e-13 or np.abs(gradient_there).max() >= 2 * np.abs(gradient).max():
            break
        at, value, gradient = there, value_there, gradient_there
        hessian = _hessian(objective, at)
    return at, gradient, hessian


def _hessian(objective: Objective, at: Floats) -> Floats:
    """By central differences of the analytic gradient, made symmetric."""
    rows = []
    for number in range(len(at)):
        step = np.zeros_like(at)
        step[number] = _STEP
        rows.append((objective(at + step)[1] - objective(at - step)[1]) / (2 * _STEP))
    hessian = np.array(rows)
    return (hessian + hessian.T) / 2
