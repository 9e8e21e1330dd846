"""How good clusters are, measured with the truth: pairs, B³, exact clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Score:
    """Precision and recall of pairs, of records (B³, Bagga and Baldwin 1998) and of whole clusters, each 0 to 1.

    Pairs and clusters that are not there are no mistake: without any, precision or recall is 1.
    """

    precision: float
    recall: float
    b3_precision: float
    b3_recall: float
    exact_precision: float
    exact_recall: float

    @property
    def f1(self) -> float:
        """F1 of pairs."""
        return harmonic_mean(self.precision, self.recall)

    @property
    def b3_f1(self) -> float:
        """F1 of B³."""
        return harmonic_mean(self.b3_precision, self.b3_recall)


def harmonic_mean(one: float, other: float) -> float:
    """2 × one × other / (one + other); 0 for two zeros."""
    return 2 * one * other / (one + other) if one + other else 0.0


def score_clusters(found: Sequence[Any] | npt.NDArray[Any], truth: Sequence[Any] | npt.NDArray[Any]) -> Score:
    """Compare two labels of the same records.

    - Pairs: a pair is right when both labels hold its records together.
    - B³: the mean over records of the share of its cluster that is truly its own (precision), and of its true
      cluster that was found with it (recall).
    - Exact: the share of found clusters that are true ones as a whole, and of true ones that were found, singletons
      included.

    :raises ValueError: if the labels differ in length.
    """
    if len(found) != len(truth):
        raise ValueError(f"{len(found)} records have a found cluster and {len(truth)} a true one")
    if not len(found):
        return Score(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    _, f = np.unique(np.asarray(found), return_inverse=True)
    _, t = np.unique(np.asarray(truth), return_inverse=True)
    of_found, of_true = np.bincount(f), np.bincount(t)
    cells, both = np.unique(f.astype(np.int64) * len(of_true) + t, return_counts=True)
    cell_found, cell_true = of_found[cells // len(of_true)], of_true[cells % len(of_true)]
    right, pairs_found, pairs_true = _pairs(both), _pairs(of_found), _pairs(of_true)
    exact = int(((both == cell_found) & (both == cell_true)).sum())
    return Score(
        precision=right / pairs_found if pairs_found else 1.0,
        recall=right / pairs_true if pairs_true else 1.0,
        b3_precision=float((both * (both / cell_found)).sum() / len(f)),
        b3_recall=float((both * (both / cell_true)).sum() / len(f)),
        exact_precision=exact / len(of_found),
        exact_recall=exact / len(of_true),
    )


def _pairs(sizes: npt.NDArray[np.integer]) -> int:
    counts = sizes.astype(np.int64)
    return int((counts * (counts - 1) // 2).sum())
