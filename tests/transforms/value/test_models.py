"""What must hold of every purchase model, whatever the customers: gradients, limits, units, great numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import hyp2f1

from transforms.value.models import (
    BG_NBD,
    MBG_NBD,
    MODELS,
    NBD,
    PARETO_NBD,
    POOLED,
    Cohorts,
    discounted_orders,
    expected_orders,
)
from transforms.value.sample import Sample, sample_of

from .conftest import array

ALL = [NBD, BG_NBD, MBG_NBD, PARETO_NBD, POOLED, *(Cohorts(model, 390.0) for model in (NBD, MBG_NBD, PARETO_NBD))]
TYPICAL = {
    "nbd": array(0.4, 12),
    "bg_nbd": array(0.24, 4.4, 0.79, 2.4),
    "mbg_nbd": array(0.52, 6.2, 0.89, 1.6),
    "pareto_nbd": array(0.55, 10.6, 0.61, 11.7),
    "pooled": array(0.05),
    "nbd_cohorts": array(0.4, 12, 0.3),
    "mbg_nbd_cohorts": array(0.52, 6.2, 0.89, 1.6, 0.3),
    "pareto_nbd_cohorts": array(0.55, 10.6, 0.61, 11.7, 2.0),
}
X = array(0, 0, 1, 2, 2, 7, 40)
TX = array(0, 0, 30, 5, 38, 38, 39)
T = array(0, 39, 39, 20, 38, 39, 39)


def each(models=ALL):
    return pytest.mark.parametrize("model", models, ids=lambda model: model.name)


@each()
def test_gradients_are_the_slopes_of_the_likelihood(model) -> None:
    sample = Sample(X, TX, T, np.ones_like(X))
    at = TYPICAL[model.name]
    _, slopes = model.log_likelihood(at, sample)
    for number, value in enumerate(at):
        step = np.zeros_like(at)
        step[number] = 1e-6 * value
        rise = model.log_likelihood(at + step, sample)[0] - model.log_likelihood(at - step, sample)[0]
        assert slopes[:, number] == pytest.approx(rise / (2 * step[number]), rel=2e-5, abs=1e-6)


def test_pareto_nbd_agrees_with_plain_integration() -> None:
    r, alpha, s, beta = TYPICAL["pareto_nbd"]
    for x, tx, t in ((0.0, 0.0, 39.0), (3.0, 10.0, 39.0), (26.0, 30.0, 31.0), (2.0, 1.0, 2000.0)):
        alive = (alpha + t) ** -(r + x) * (beta + t) ** -s
        left = quad(lambda u: s * (alpha + u) ** -(r + x) * (beta + u) ** -(s + 1), tx, t, epsabs=0, epsrel=1e-12)[0]  # noqa: B023
        found = PARETO_NBD.p_alive(TYPICAL["pareto_nbd"], array(x), array(tx), array(t))[0]
        assert found == pytest.approx(alive / (alive + left), rel=1e-9)


@pytest.mark.parametrize("parameters", [(0.05, 0.1, 0.3, 500.0), (3.0, 200.0, 5.0, 0.5), (1.4, 9.5, 7.8, 50_000.0)])
def test_pareto_nbd_holds_where_alpha_and_beta_are_far_apart(parameters) -> None:
    r, alpha, s, beta = parameters

    def left_over_alive(x: float, tx: float, t: float) -> float:
        at_end = -(r + x) * np.log(alpha + t) - s * np.log1p(t / beta)

        def density(u: float) -> float:
            return s / beta * np.exp(-(r + x) * np.log(alpha + u) - (s + 1) * np.log1p(u / beta) - at_end)

        points = list(np.geomspace(tx + 1e-3, t, 20)[:-1])
        return quad(density, tx, t, points=points, limit=500, epsabs=0, epsrel=1e-11)[0]

    for x, tx, t in ((0.0, 0.0, 400.0), (1.0, 7.0, 400.0), (60.0, 390.0, 400.0)):
        found = PARETO_NBD.p_alive(array(*parameters), array(x), array(tx), array(t))[0]
        assert found == pytest.approx(1 / (1 + left_over_alive(x, tx, t)), rel=1e-4)


@each([BG_NBD, MBG_NBD])
def test_expectations_agree_with_the_published_formula(model) -> None:
    """Before Euler's transformation, as it stands in the papers, where that can be evaluated."""
    r, alpha, a, b = TYPICAL[model.name]
    more = 0 if model is BG_NBD else 1
    for x, t in ((0.0, 39.0), (2.0, 38.86), (7.0, 39.0)):
        top = a + b + x + more - 1
        series = hyp2f1(r + x, b + x + more, top, 39 / (alpha + t + 39))
        published = top / (a - 1) * (1 - ((alpha + t) / (alpha + t + 39)) ** (r + x) * series)
        assert model.orders_if_alive(array(r, alpha, a, b), array(x), array(t), 39)[0] == pytest.approx(
            published, rel=1e-9
        )


def test_p_buy_of_pareto_nbd_agrees_with_a_simulation() -> None:
    """Rates drawn from the posterior of a living customer, and what comes first: a purchase, the end, or the day."""
    r, alpha, s, beta = TYPICAL["pareto_nbd"]
    random = np.random.default_rng(4)
    x, t, days = 3.0, 39.0, 13.0
    buys = random.exponential(1, 400_000) / random.gamma(r + x, 1 / (alpha + t), 400_000)
    leaves = random.exponential(1, 400_000) / random.gamma(s, 1 / (beta + t), 400_000)
    simulated = ((buys < leaves) & (buys < days)).mean()
    assert PARETO_NBD.p_buy_if_alive(array(r, alpha, s, beta), array(x), array(t), days)[0] == pytest.approx(
        simulated, abs=0.003
    )


def test_one_time_buyers_may_have_left_by_all_models_but_bg_nbd() -> None:
    """Why customers are never ranked by P(alive) of BG/NBD."""
    alive = {model.name: model.p_alive(TYPICAL[model.name], array(0), array(0), array(39))[0] for model in ALL}
    assert alive["bg_nbd"] == 1.0
    assert alive["mbg_nbd"] < 0.5 and alive["pareto_nbd"] < 0.6


@each()
def test_a_horizon_of_nothing_brings_nothing(model) -> None:
    at = TYPICAL[model.name]
    assert expected_orders(model, at, X, TX, T, 0.0) == pytest.approx(np.zeros_like(X))
    assert model.p_buy_if_alive(at, X, T, 0.0) == pytest.approx(np.zeros_like(X))
    assert discounted_orders(model, at, X, T, 0.0, 0.1) == pytest.approx(np.zeros_like(X))


@each()
def test_without_discount_the_discounted_sum_is_the_sum(model) -> None:
    at = TYPICAL[model.name]
    plain = model.orders_if_alive(at, X, T, 52.0)
    assert discounted_orders(model, at, X, T, 52.0, 0.0) == pytest.approx(plain, rel=1e-12)
    assert (discounted_orders(model, at, X, T, 52.0, 0.002) < plain).all()


@each()
def test_discounting_agrees_with_a_sum_over_days(model) -> None:
    at, discount = TYPICAL[model.name], 0.002
    edges = np.linspace(0, 52, 2001)
    grown = np.array([model.orders_if_alive(at, X, T, edge) for edge in edges])
    middle = (edges[1:] + edges[:-1]) / 2
    summed = (np.exp(-discount * middle)[:, np.newaxis] * np.diff(grown, axis=0)).sum(axis=0)
    assert discounted_orders(model, at, X, T, 52.0, discount) == pytest.approx(summed, rel=1e-6)


@pytest.mark.parametrize("a", [1.0, 1 - 1e-9, 1 + 1e-9])
def test_a_of_one_is_no_pole(a: float) -> None:
    near = [MBG_NBD.orders_if_alive(array(0.5, 6, value, 1.6), X, T, 39) for value in (0.999, a, 1.001)]
    assert near[1] == pytest.approx((near[0] + near[2]) / 2, rel=1e-5)


@pytest.mark.parametrize("s", [1.0, 1 - 1e-9, 1 + 1e-9])
def test_s_of_one_is_no_pole(s: float) -> None:
    near = [PARETO_NBD.orders_if_alive(array(0.5, 6, value, 11), X, T, 39) for value in (0.999, s, 1.001)]
    assert near[1] == pytest.approx((near[0] + near[2]) / 2, rel=1e-5)


@each()
def test_twenty_thousand_purchases_are_finite(model) -> None:
    x = array(100, 1_000, 5_000, 20_000, 20_000)
    tx, t = array(300, 300, 360, 365, 1), array(365, 365, 365, 365, 365)
    at = TYPICAL[model.name]
    value, slopes = model.log_likelihood(at, Sample(x, tx, t, np.ones_like(x)))
    alive = model.p_alive(at, x, tx, t)
    expected = expected_orders(model, at, x, tx, t, 365.0)
    assert np.isfinite(value).all() and np.isfinite(slopes).all() and np.isfinite(expected).all()
    assert ((alive >= 0) & (alive <= 1)).all() and (expected >= 0).all()
    if model is not POOLED:
        # Who bought twenty thousand times, the last time now, goes on as before until leaving.
        assert (19_000 if model is NBD else 14_000) < expected[3] < 20_000


@given(
    x=st.integers(0, 20_000),
    recency=st.floats(0.001, 1),
    t=st.floats(1, 5_000),
    r=st.floats(0.01, 20),
    alpha=st.floats(0.01, 2_000),
    a=st.floats(0.01, 20),
    b=st.floats(0.01, 2_000),
    horizon=st.floats(0, 400),
)
@settings(max_examples=150, deadline=None)
def test_any_customer_has_finite_and_plausible_figures(x, recency, t, r, alpha, a, b, horizon) -> None:
    history = array(x), array(t * recency if x else 0), array(t)
    for model, parameters in ((NBD, (r, alpha)), (MBG_NBD, (r, alpha, a, b)), (PARETO_NBD, (r, alpha, a, b))):
        at = array(*parameters)
        alive = model.p_alive(at, *history)[0]
        buys = model.p_buy_if_alive(at, history[0], history[2], horizon)[0]
        orders = model.orders_if_alive(at, history[0], history[2], horizon)[0]
        assert 0 <= alive <= 1 and -1e-12 <= buys <= 1 + 1e-12
        # Who buys at least once with probability p is expected to buy at least p times, and no more than for ever.
        assert buys - 1e-6 <= orders <= (r + x) / (alpha + t) * horizon * (1 + 1e-5) + 1e-9


@each([NBD, MBG_NBD, PARETO_NBD])
def test_days_and_weeks_say_the_same(model) -> None:
    weeks = TYPICAL[model.name]
    days = np.array(
        [value * 7 if name in model.times else value for name, value in zip(model.parameters, weeks, strict=True)]
    )
    in_weeks = expected_orders(model, weeks, X, TX, T, 52.0)
    assert expected_orders(model, days, X, TX * 7, T * 7, 364.0) == pytest.approx(in_weeks, rel=1e-9)


@pytest.mark.parametrize(
    ("history", "rule"),
    [
        ((1.0, 5.0, 4.0), "outside the time observed"),
        ((1.0, 0.0, 4.0), "at the moment of the first"),
        ((0.0, 2.0, 4.0), "no repeat purchase"),
        ((-1.0, 0.0, 4.0), "negative"),
        ((1.0, float("nan"), 4.0), "a number that is none"),
    ],
)
def test_impossible_histories_are_refused_by_name(history, rule) -> None:
    with pytest.raises(ValueError, match=rf"purchase history 1 .*{rule}.*T = 4"):
        Sample(*(array(0 if place < 2 else 4, value) for place, value in enumerate(history)), array(1, 1))


def test_equal_histories_become_one_row() -> None:
    sample = sample_of(array(1, 0, 1), array(3, 0, 3), array(9, 9, 9))
    assert list(zip(sample.x, sample.tx, sample.t, sample.weight, strict=True)) == [(0, 0, 9, 1), (1, 3, 9, 2)]


def test_every_model_is_known_by_its_name() -> None:
    assert set(MODELS) == {name for name in TYPICAL if not name.endswith("_cohorts")}
