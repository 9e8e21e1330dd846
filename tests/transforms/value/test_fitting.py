"""Fits: the same from any order of rows, from weights or rows, in days or weeks; intervals that hold what they say."""

from __future__ import annotations

import numpy as np
import pytest

from transforms.value.candidates import fit_ladder
from transforms.value.diagnostics import judge_cohorts, judge_fit, judge_spend
from transforms.value.fitting import Optimum, fit_purchases
from transforms.value.models import MBG_NBD, NBD, PARETO_NBD, Cohorts, expected_orders
from transforms.value.sample import Sample, sample_of
from transforms.value.spend import SpendSample, expected_spend, fit_spend, spend_sample

from .conftest import array


def world(customers: int, seed: int = 1, r=0.6, alpha=60.0, s=0.6, beta=60.0, days=540.0, leaves=True) -> Sample:
    """Customers of a Pareto/NBD world, acquired over its first half."""
    random = np.random.default_rng(seed)
    t = np.floor(random.uniform(days / 2, days, customers))
    rate = random.gamma(r, 1 / alpha, customers)
    life = (
        random.exponential(1, customers) / random.gamma(s, 1 / beta, customers) if leaves else np.full(customers, 1e9)
    )
    until = np.minimum(life, t)
    x = random.poisson(rate * until).astype(float)
    # The last of x uniform moments.
    tx = np.where(x > 0, until * random.uniform(0, 1, customers) ** (1 / np.maximum(x, 1)), 0.0)
    return sample_of(x, tx, t)


@pytest.fixture(scope="module")
def town() -> Sample:
    return world(3_000)


@pytest.mark.parametrize("model", [NBD, MBG_NBD, PARETO_NBD], ids=lambda model: model.name)
def test_weights_are_rows_and_order_is_nothing(model, town: Sample) -> None:
    doubled = Sample(town.x, town.tx, town.t, town.weight * 2)
    random = np.random.default_rng(5)
    order = random.permutation(np.repeat(np.arange(len(town.x)), (town.weight * 2).astype(int)))
    expanded = sample_of(town.x[order], town.tx[order], town.t[order])
    first, second = fit_purchases(model, doubled), fit_purchases(model, expanded)
    assert first.parameters == pytest.approx(second.parameters, rel=1e-9)
    assert first.value == pytest.approx(second.value, rel=1e-12)
    assert first.standard_errors == pytest.approx(second.standard_errors, rel=1e-6)


@pytest.mark.parametrize("model", [NBD, MBG_NBD, PARETO_NBD, Cohorts(NBD, 540.0)], ids=lambda model: model.name)
def test_the_unit_of_time_changes_times_alone(model, town: Sample) -> None:
    days, weeks = fit_purchases(model, town), fit_purchases(model.scaled(7), town.scaled(7))
    factor = [7 if name in model.times else 1 for name in model.parameters]
    assert days.parameters == pytest.approx(weeks.parameters * factor, rel=1e-6)
    assert days.value == pytest.approx(weeks.value - (town.x @ town.weight) * np.log(7), rel=1e-10)


def test_parameters_of_an_invented_world_are_found_again() -> None:
    fit = fit_purchases(PARETO_NBD, world(20_000, seed=9))
    assert fit.log_errors is not None
    off = (fit.log_parameters - np.log([0.6, 60, 0.6, 60])) / fit.log_errors
    assert np.abs(off).max() < 3.5


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """95 % intervals in 60 worlds of 1,000 customers: of 180 intervals, all but about nine hold it."""
    truth = np.log([0.6, 60.0])
    held = 0
    for seed in range(60):
        fit = fit_purchases(NBD, world(1_000, seed=seed, leaves=False))
        assert fit.log_errors is not None
        held += int((np.abs(fit.log_parameters - truth) < 1.96 * fit.log_errors).sum())
    assert 0.90 <= held / 120 <= 0.99


def test_where_nobody_leaves_the_models_of_leaving_are_refused() -> None:
    """The optimiser reports success there: a runs to nothing, b to anything."""
    fits = fit_ladder(world(3_000, leaves=False))
    assert fits["nbd"].verdict.accepted
    for name in ("pareto_nbd", "mbg_nbd"):
        assert not fits[name].verdict.accepted
        assert (fits[name].verdict.reason or "").split(":")[0] in {"no_dropout_found", "at_bound", "no_curvature"}


def cohorts(ratio: float, seed: int = 3, customers: int = 4_000) -> Sample:
    """Customers whose mean rate of purchases falls from the oldest to the newest, or not (ratio 1)."""
    random = np.random.default_rng(seed)
    t = np.floor(random.uniform(30, 540, customers))
    rate = random.gamma(0.8, 1 / (120 * ratio ** (t / 540)))
    x = random.poisson(rate * t).astype(float)
    return sample_of(x, np.where(x > 0, t * random.uniform(0, 1, customers) ** (1 / np.maximum(x, 1)), 0.0), t)


def with_and_without_cohorts(sample: Sample) -> tuple[Optimum, Optimum]:
    return fit_purchases(Cohorts(NBD, float(sample.t.max())), sample), fit_purchases(NBD, sample)


def test_cohorts_with_rates_of_their_own_get_them() -> None:
    sample = cohorts(ratio=0.3)
    fit, plain = with_and_without_cohorts(sample)
    assert judge_cohorts(fit, plain, sample.customers).accepted and judge_fit(fit).accepted
    assert fit.log_errors is not None
    assert np.abs((fit.log_parameters - np.log([0.8, 120, 0.3])) / fit.log_errors).max() < 3
    # Of two customers who bought as often, the one acquired early is expected to buy more.
    x, tx, t = array(1, 4), array(50, 200), array(100, 400)
    model = Cohorts(NBD, float(sample.t.max()))
    young, old = expected_orders(model, fit.parameters, x, tx, t, 100) / expected_orders(
        NBD, plain.parameters, x, tx, t, 100
    )
    assert young < 0.95 and old > 1.02


def test_cohorts_without_a_difference_are_not_told_apart() -> None:
    """By BIC, chance alone tells 4,000 customers apart in one of two hundred worlds."""
    told_apart = [
        judge_cohorts(*with_and_without_cohorts(sample), sample.customers).accepted
        for sample in (cohorts(ratio=1, seed=seed) for seed in range(8))
    ]
    assert sum(told_apart) <= 1


def test_identical_customers_leave_one_rate_for_all() -> None:
    """Nothing tells them apart: the shape of the rates has no maximum."""
    fits = fit_ladder(sample_of(np.full(900, 4.0), np.full(900, 80.0), np.full(900, 100.0)))
    assert [name for name, fit in fits.items() if fit.verdict.accepted] == ["pooled"]
    assert fits["pooled"].parameters == pytest.approx([0.04])


def test_one_time_buyers_alone_are_no_fit() -> None:
    """Every search "succeeds" on a flat likelihood."""
    alone = sample_of(np.zeros(900), np.zeros(900), np.linspace(1, 400, 900))
    with pytest.raises(ValueError, match="no repeat purchase"):
        fit_purchases(NBD, alone)
    assert {fit.verdict.reason.split(":")[0] for fit in fit_ladder(alone).values() if fit.verdict.reason} == {
        "no_repeat_buyers"
    }


def test_a_single_repeat_buyer_gives_no_model_of_leaving() -> None:
    fits = fit_ladder(sample_of(array(*[0.0] * 600, 1), array(*[0.0] * 600, 50), np.full(601, 200.0)))
    assert not fits["pareto_nbd"].verdict.accepted and not fits["mbg_nbd"].verdict.accepted


@pytest.mark.parametrize("age", [0.0, 1.0])
def test_customers_of_today_and_yesterday_can_be_among_others(age: float, town: Sample) -> None:
    more = Sample(np.append(town.x, 0), np.append(town.tx, 0), np.append(town.t, age), np.append(town.weight, 50))
    fit = fit_purchases(PARETO_NBD, more)
    assert judge_fit(fit).accepted
    assert np.isfinite(fit.parameters).all()


def test_a_shop_that_opened_yesterday_has_no_time_to_learn_from() -> None:
    with pytest.raises(ValueError, match="nothing to fit"):
        fit_purchases(NBD, sample_of(array(0, 0), array(0, 0), array(0, 0)))
    fits = fit_ladder(sample_of(array(0, 0, 1), array(0, 0, 1), array(1, 1, 1)))
    assert all(np.isfinite(fit.optimum.value) for fit in fits.values() if fit.optimum)


def spenders(customers: int, p=6.25, q=3.74, gamma=15.44, seed=2) -> SpendSample:
    random = np.random.default_rng(seed)
    n = 1.0 + random.poisson(2, customers)
    nu = random.gamma(q, 1 / gamma, customers)
    return spend_sample(n, random.gamma(p * n, 1 / (n * nu)))


def test_the_spend_of_an_invented_world_is_found_again() -> None:
    fit = fit_spend(spenders(20_000))
    assert fit.log_errors is not None and judge_spend(fit).accepted
    assert np.abs((fit.log_parameters - np.log([6.25, 3.74, 15.44])) / fit.log_errors).max() < 3.5


def test_spend_knows_no_currency_unit() -> None:
    """In yen as in euros: γ grows with the unit, all else stays."""
    euros = spenders(2_000)
    yen = SpendSample(euros.n, euros.z * 160, euros.log_z + np.log(160), euros.weight)
    first, second = fit_spend(euros).parameters, fit_spend(yen).parameters
    assert second == pytest.approx(first * [1, 1, 160], rel=1e-6)


def test_the_mean_that_would_be_infinite_is_refused() -> None:
    fit = fit_spend(spenders(3_000, q=0.8, gamma=5.0))
    assert fit.parameters[1] < 1
    assert judge_spend(fit).reason is not None and "infinite_mean" in str(judge_spend(fit).reason)


def test_zero_and_negative_amounts_stay_out_of_the_spend_model() -> None:
    assert spend_sample(array(2, 2, 0, 3), array(-5, 0, 9, 7)).customers == 1
    with pytest.raises(ValueError, match=r"spend row 1 is not positive.*mean amount = -5"):
        SpendSample(array(1, 2), array(3, -5), array(1, 1), array(1, 1))


def test_few_baskets_are_drawn_to_the_mean_of_all() -> None:
    parameters = array(6.25, 3.74, 15.44)
    mean = 6.25 * 15.44 / 2.74
    once, often = (expected_spend(parameters, array(n), array(200.0))[0] for n in (1, 50))
    assert mean < once < often < 200
    assert expected_spend(parameters, array(0), array(0))[0] == pytest.approx(mean)
