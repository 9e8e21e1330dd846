"""Gamma-Gamma: what a purchase day brings (Fader and Hardie 2013).

The mean z of n purchase days is gamma distributed with shape pn and rate νn, ν with shape q and rate γ. Gross positive
amounts alone: returns and margin are applied to what comes out. A plain mean per customer would swing with one large
basket; the model draws it to that of all, the more the fewer days there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, psi

from transforms.value.fitting import Objective, Optimum, maximum
from transforms.value.sample import Floats

PARAMETERS = ("p", "q", "gamma")


@dataclass(frozen=True)
class SpendSample:
    """Rows of equal length: purchase days n, mean amount z, mean of ln z, customers that the row stands for.

    :raises ValueError: if an amount or a count is not positive; such rows do not belong in here.
    """

    n: Floats
    z: Floats
    log_z: Floats
    weight: Floats

    def __post_init__(self) -> None:
        broken = ~((self.n > 0) & (self.z > 0) & (self.weight > 0) & np.isfinite(self.z + self.log_z))
        if broken.any():
            row = int(np.argmax(broken))
            raise ValueError(f"spend row {row} is not positive: n = {self.n[row]}, mean amount = {self.z[row]}")

    @property
    def customers(self) -> float:
        """Number of customers behind the rows."""
        return float(self.weight.sum())


def spend_sample(n: Floats, z: Floats, weight: Floats | None = None) -> SpendSample:
    """A sample of the rows with positive amounts; without ``weight`` each is one customer."""
    n, z = np.asarray(n, dtype=np.float64), np.asarray(z, dtype=np.float64)
    weight = np.ones_like(n) if weight is None else weight
    kept = (n > 0) & (z > 0)
    return SpendSample(n[kept], z[kept], np.log(z[kept]), weight[kept])


def fit_spend(sample: SpendSample) -> Optimum:
    """Fit p, q and γ.

    :raises ValueError: if the sample is empty.
    """
    if not len(sample.n):
        raise ValueError("nothing to fit: no positive amount in the sample")
    unit = float((sample.z * sample.weight).sum() / sample.customers)
    starts = [np.log(start) for start in ((2.0, 3.0, 1.0), (6.0, 4.0, 0.5), (1.0, 2.0, 1.0), (10.0, 10.0, 1.0))]
    found = maximum(_objective(sample, unit), starts, sample.customers)
    shift = np.array([0.0, 0.0, np.log(unit)])
    value = found.value - sample.customers * np.log(unit)
    return Optimum(**{**vars(found), "log_parameters": found.log_parameters + shift, "value": value})


def expected_spend(parameters: Floats, n: Floats, z: Floats) -> Floats:
    """Expected amount of a purchase day of a customer with n days of mean z: p(γ + nz) / (pn + q − 1)."""
    p, q, gamma = parameters
    return p * (gamma + n * z) / (p * n + q - 1)


def _objective(sample: SpendSample, unit: float) -> Objective:
    z, log_z = sample.z / unit, sample.log_z - np.log(unit)
    share = sample.weight / sample.weight.sum()
    distinct, place = np.unique(sample.n, return_inverse=True)
    n, log_n = sample.n, np.log(sample.n)

    def objective(log_parameters: Floats) -> tuple[float, Floats]:
        p, q, gamma = np.exp(log_parameters)
        by_n = gammaln(p * distinct + q) - gammaln(p * distinct) - gammaln(q)
        psi_end = psi(p * distinct + q)
        psi_n, psi_q = distinct * (psi_end - psi(p * distinct)), psi_end - psi(q)
        log_sum = np.log(gamma + n * z)
        value = by_n[place] + q * np.log(gamma) + (p * n - 1) * log_z + p * n * log_n - (p * n + q) * log_sum
        slopes = (
            psi_n[place] + n * (log_z + log_n - log_sum),
            psi_q[place] + np.log(gamma) - log_sum,
            q / gamma - (p * n + q) / (gamma + n * z),
        )
        gradient = np.array([np.einsum("i,i", share, slope) for slope in slopes]) * np.array([p, q, gamma])
        return -float(np.einsum("i,i", share, value)), -gradient

    return objective
