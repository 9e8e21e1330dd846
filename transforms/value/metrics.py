"""How good a forecast was: weighted by the customers that each row stands for, ties sharing their rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transforms.value.sample import Floats


@dataclass(frozen=True)
class Errors:
    """Errors of a forecast of counts; ``bias`` is predicted over actual, minus 1. None where nothing can be said."""

    actual: float
    predicted: float
    mae: float
    rmse: float
    bias: float | None
    spearman: float | None


def errors(predicted: Floats, actual: Floats, weight: Floats, actual_ranks: Floats | None = None) -> Errors:
    """Errors per customer; ``actual_ranks`` are :func:`ranks` of ``actual``, where they are known already."""
    total, off = weight.sum(), predicted - actual
    sums = float(predicted @ weight), float(actual @ weight)
    return Errors(
        actual=sums[1],
        predicted=sums[0],
        mae=float(np.abs(off) @ weight / total),
        rmse=float(np.sqrt(off**2 @ weight / total)),
        bias=sums[0] / sums[1] - 1 if sums[1] else None,
        spearman=spearman(predicted, actual, weight, actual_ranks),
    )


def spearman(first: Floats, second: Floats, weight: Floats, second_ranks: Floats | None = None) -> float | None:
    """Rank correlation; None where either is constant."""
    both = (ranks(first, weight), ranks(second, weight) if second_ranks is None else second_ranks)
    total = weight.sum()
    centred = [rank - rank @ weight / total for rank in both]
    spread = [float(rank**2 @ weight) for rank in centred]
    if not all(spread):
        return None
    return float((centred[0] * centred[1]) @ weight / np.sqrt(spread[0] * spread[1]))


def auc(score: Floats, is_hit: NDArray[np.bool_], weight: Floats) -> float | None:
    """Probability that a hit scores higher than a miss, ties counting half; None without hits or without misses."""
    hits, misses = float(weight[is_hit].sum()), float(weight[~is_hit].sum())
    if not hits or not misses:
        return None
    of_score = ranks(score, weight)
    return float((of_score[is_hit] @ weight[is_hit] - hits * (hits + 1) / 2) / (hits * misses))


def deciles(predicted: Floats, weight: Floats) -> NDArray[np.int64]:
    """Tenth of the customers, 1–10, by the middle rank of their forecast: equal forecasts share a tenth."""
    middle = (ranks(predicted, weight) - 0.5) / weight.sum()
    return np.clip(np.ceil(middle * 10), 1, 10).astype(np.int64)


def ranks(values: Floats, weight: Floats) -> Floats:
    """Mean rank of each row among all customers, from 1."""
    # Forecasts of equal histories may differ in the last bit; that is no order.
    distinct, place = np.unique(np.round(values, 12), return_inverse=True)
    place = place.reshape(-1)
    size = np.bincount(place, weights=weight, minlength=len(distinct))
    return (np.cumsum(size) - (size - 1) / 2)[place]
