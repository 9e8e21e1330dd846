"""Gradient-boosted trees as a yardstick: what a learner makes of the same three numbers.

scikit-learn comes with the extra ``trees``; without it the candidate is told as not installed, and all else works.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from transforms.value.sample import Floats
from transforms.value.summary import Histories

Forecast = Callable[[Histories], Floats]
# More rows teach the trees nothing new, and cost seconds.
_MOST_ROWS = 20_000
MIN_CUSTOMERS = 200
_STEADY_DAYS = 30.0


def is_installed() -> bool:
    """Whether scikit-learn is there."""
    return find_spec("sklearn") is not None


def teach(known: Histories) -> Forecast:
    """Learn ``known.later`` from the histories; the forecast covers as many days as ``later`` did.

    :raises ValueError: if nobody bought later, or too few customers are known.
    """
    if known.weight.sum() < MIN_CUSTOMERS or not known.later.any():
        raise ValueError("too few customers, or none who came back, to learn from")
    # A second and a half of imports that only a run needs.
    from sklearn.ensemble import HistGradientBoostingRegressor  # pyright: ignore[reportMissingImports]
    from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingImports]

    stride = -(-len(known.x) // _MOST_ROWS)
    learner = HistGradientBoostingRegressor(
        loss="poisson",
        max_iter=100,
        max_leaf_nodes=15,
        min_samples_leaf=20,
        early_stopping=False,  # pyright: ignore[reportArgumentType]
        random_state=0,
    )
    # On a busy machine its threads wait for each other longer than one of them would work.
    with threadpool_limits(1):
        learner.fit(_features(known)[::stride], known.later[::stride], sample_weight=known.weight[::stride])

    def forecast(histories: Histories) -> Floats:
        with threadpool_limits(1):
            return np.asarray(learner.predict(_features(histories)), dtype=np.float64)

    return forecast


def _features(histories: Histories) -> Floats:
    """Rates and shares, not counts: those grow with age, and the trees are taught on younger histories."""
    rate = histories.x / (histories.t + _STEADY_DAYS)
    share = np.divide(histories.tx, histories.t, out=np.zeros_like(histories.t), where=histories.t > 0)
    silent = histories.t - histories.tx
    return np.column_stack([rate, share, silent, silent * rate])
