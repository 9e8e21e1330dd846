"""Errors and ranks with weights, against SciPy on the rows that the weights stand for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from transforms.value.metrics import auc, deciles, errors, spearman

from .conftest import array

RANDOM = np.random.default_rng(6)
PREDICTED = np.round(RANDOM.gamma(0.5, 2, 300), 1)
ACTUAL = RANDOM.poisson(PREDICTED).astype(float)
WEIGHT = RANDOM.integers(1, 6, 300).astype(float)
ROWS = np.repeat(np.arange(300), WEIGHT.astype(int))


def test_errors_are_those_of_the_rows() -> None:
    told = errors(PREDICTED, ACTUAL, WEIGHT)
    off = PREDICTED[ROWS] - ACTUAL[ROWS]
    assert told.mae == pytest.approx(np.abs(off).mean())
    assert told.rmse == pytest.approx(np.sqrt((off**2).mean()))
    assert told.bias == pytest.approx(PREDICTED[ROWS].sum() / ACTUAL[ROWS].sum() - 1)
    assert told.spearman == pytest.approx(stats.spearmanr(PREDICTED[ROWS], ACTUAL[ROWS]).statistic)


def test_the_auc_is_mann_whitneys() -> None:
    hit = ACTUAL > 0
    one, other = PREDICTED[ROWS][hit[ROWS]], PREDICTED[ROWS][~hit[ROWS]]
    expected = stats.mannwhitneyu(one, other).statistic / (len(one) * len(other))
    assert auc(PREDICTED, hit, WEIGHT) == pytest.approx(expected)
    assert auc(PREDICTED, np.ones(300, dtype=bool), WEIGHT) is None


def test_what_cannot_be_said_is_none() -> None:
    told = errors(array(1, 1), array(0, 0), array(2, 3))
    assert (told.bias, told.spearman) == (None, None)
    assert spearman(array(1, 2), array(5, 5), array(1, 1)) is None


def test_equal_forecasts_share_a_tenth() -> None:
    forecast = np.append(np.zeros(60), np.arange(1, 41))
    tenth = deciles(forecast, np.ones(100))
    assert set(tenth[:60]) == {3} and tenth[-1] == 10 and (np.diff(tenth) >= 0).all()
    assert (deciles(np.arange(100.0), np.ones(100)) == np.repeat(np.arange(1, 11), 10)).all()
