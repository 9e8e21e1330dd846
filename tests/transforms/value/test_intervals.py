"""Intervals of a single customer's count of purchases: against simulated worlds, closed forms and the model's means."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import betainc
from scipy.stats import nbinom, poisson

from transforms.value.candidates import Fit
from transforms.value.diagnostics import Verdict
from transforms.value.fitting import Optimum
from transforms.value.intervals import judge_intervals, likely_orders, reached
from transforms.value.models import BG_NBD, MBG_NBD, NBD, PARETO_NBD, POOLED, Cohorts, expected_orders
from transforms.value.summary import Histories

from .conftest import array
from .shops import Outcome, invented, purchase_days, run

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
ALL = [NBD, BG_NBD, MBG_NBD, PARETO_NBD, POOLED, *(Cohorts(model, 390.0) for model in (NBD, MBG_NBD, PARETO_NBD))]
X = array(0, 0, 1, 2, 2, 7, 40)
TX = array(0, 0, 30, 5, 38, 38, 39)
T = array(0, 39, 39, 20, 38, 39, 39)
END = dt.date(2025, 6, 30)


def each(models=ALL):
    return pytest.mark.parametrize("model", models, ids=lambda model: model.name)


def of(model: Any, parameters: np.ndarray | None = None) -> Fit:
    """A model at parameters that were not fitted."""
    at = np.log(TYPICAL[model.name] if parameters is None else parameters)
    return Fit(model, Optimum(at, 0.0, 0.0, 1.0, None, 1, 1, False), Verdict(True))


def known(x=X, tx=TX, t=T, later=None) -> Histories:
    """One customer each."""
    nothing = np.zeros_like(x)
    return Histories(x, tx, t, nothing, np.ones_like(x), nothing if later is None else later, nothing)


def reaching(model, horizon: float, factor: float | np.ndarray = 1.0, most: int = 3_000, history=(X, T)) -> np.ndarray:
    """P(X ≥ k) of customers who are alive, k = 1, 2, … in rows."""
    mixture = model.counts_if_alive(TYPICAL[model.name], *history, horizon, factor)
    return reached(mixture, np.full_like(history[0], most), np.full_like(history[0], 1e-14))


@each()
def test_the_mean_of_the_counts_is_the_expectation(model) -> None:
    expected = model.orders_if_alive(TYPICAL[model.name], X, T, 52.0)
    assert reaching(model, 52.0).sum(axis=0) == pytest.approx(expected, rel=1e-9)


@each()
def test_no_purchase_comes_with_what_p_buy_leaves(model) -> None:
    buys = model.p_buy_if_alive(TYPICAL[model.name], X, T, 52.0)
    # P(buy) of Pareto/NBD is an integral of its own, good to four digits.
    is_exact = "pareto" not in model.name
    assert reaching(model, 52.0)[0] == pytest.approx(buys, abs=1e-12 if is_exact else 3e-5)


@each()
@pytest.mark.parametrize("factor", [0.3, 2.5])
def test_rates_are_changed_such_that_the_mean_is_the_one_asked_for(model, factor: float) -> None:
    expected = factor * model.orders_if_alive(TYPICAL[model.name], X, T, 52.0)
    assert reaching(model, 52.0, np.full_like(X, factor)).sum(axis=0) == pytest.approx(expected, rel=1e-6)


def test_a_mean_that_no_rate_brings_is_drawn_to_the_largest() -> None:
    """With a = 3, b = 2 somebody who bought once leaves after (3 + 2 + 1) / (3 − 1) = 3 purchases, however often they
    come."""
    mixture = MBG_NBD.counts_if_alive(array(0.5, 6, 3, 2), array(1), array(39), 52.0, np.array([1e5]))
    assert reached(mixture, array(5_000), array(1e-14)).sum() == pytest.approx(3, rel=0.01)


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ((0.55, 10.6, 0.61, 11.7), 5e-5),
        ((0.6, 5.0, 0.5, 500.0), 2e-5),
        ((0.05, 0.1, 0.3, 500.0), 2e-5),
        ((3.0, 200.0, 5.0, 0.5), 2e-5),
        ((1.4, 9.5, 7.8, 50_000.0), 2e-5),
        ((10.0, 1.0, 5.0, 48.0), 4e-4),
    ],
)
@pytest.mark.parametrize(("x", "t"), [(0.0, 0.0), (0.0, 39.0), (5.0, 100.0), (150.0, 400.0), (300.0, 365.0)])
def test_counts_of_pareto_nbd_agree_with_plain_integration(parameters, error: float, x: float, t: float) -> None:
    r, alpha, s, beta = parameters
    horizon, age = 365.0, beta + t
    longest = np.log1p(horizon / age)
    at_rate = (r + x) / (alpha + t) * horizon
    mixture = PARETO_NBD.counts_if_alive(array(*parameters), array(x), array(t), horizon, 1.0)
    found = reached(mixture, array(3_000), array(0))[:, 0]
    for k in sorted({1, 2, *(min(max(1, int(at_rate * part)), 365) for part in (0.3, 0.7, 1, 1.2))}):

        def leaving(y: float, k: int = k) -> float:
            u = age * np.expm1(y)
            return s * np.exp(-s * y) * betainc(k, r + x, u / (alpha + t + u))

        edges = np.linspace(0, min(longest, 40 / s), 21)
        left = sum(quad(leaving, *pair, epsabs=1e-12)[0] for pair in pairwise(edges))
        stayed = np.exp(-s * longest) * betainc(k, r + x, horizon / (alpha + t + horizon))
        assert found[k - 1] == pytest.approx(left + stayed, abs=error), k


def test_without_leaving_the_interval_is_that_of_scipy() -> None:
    r, alpha = TYPICAL["nbd"]
    found = likely_orders(of(NBD), known(), 52)
    p = (alpha + T) / (alpha + T + 52)
    assert found.low.tolist() == nbinom.ppf(0.1, r + X, p).tolist()
    assert found.high.tolist() == np.minimum(nbinom.ppf(0.9, r + X, p), 52).tolist()
    middle = found.high < 52
    within = nbinom.cdf(found.high, r + X, p) - nbinom.cdf(found.low - 1, r + X, p)
    assert found.within[middle] == pytest.approx(within[middle], rel=1e-9)
    pooled = likely_orders(of(POOLED, array(0.25)), known(), 52)
    assert (pooled.low[0], pooled.high[0]) == (poisson.ppf(0.1, 13), poisson.ppf(0.9, 13)) == (9, 18)


def simulated(name: str, customers: int, horizon: float) -> tuple[np.ndarray, ...]:
    """x, tx, T of customers of a world, and how often they bought in the time after, by the model's story."""
    random = np.random.default_rng(5)
    r, alpha, *leaving = TYPICAL[name]
    t = random.uniform(20, 60, customers)
    rate = random.gamma(r, 1 / alpha, customers)
    if name == "pareto_nbd":
        s, beta = leaving
        until = random.exponential(1, customers) / random.gamma(s, 1 / beta, customers)
    else:
        until = np.full(customers, np.inf)
    if name.endswith("bg_nbd"):
        leaves = random.beta(leaving[0], leaving[1], customers)
        if name == "mbg_nbd":
            until[random.uniform(size=customers) < leaves] = 0
    else:
        leaves = np.zeros(customers)
    x, tx, later = (np.zeros(customers) for _ in range(3))
    now, there = np.zeros(customers), np.arange(customers)
    while len(there):
        now[there] += random.exponential(1, len(there)) / rate[there]
        there = there[now[there] < np.minimum(until, t + horizon)[there]]
        is_past = now[there] <= t[there]
        x[there] += is_past
        tx[there[is_past]] = now[there[is_past]]
        later[there] += ~is_past
        there = there[random.uniform(size=len(there)) >= leaves[there]]
    return x, tx, t, later


@each([NBD, BG_NBD, MBG_NBD, PARETO_NBD])
def test_a_world_comes_as_its_model_says(model) -> None:
    """As many customers reach every count, among those with the same past, as their histories say."""
    customers, horizon = 60_000, 50
    x, tx, t, later = simulated(model.name, customers, float(horizon))
    mixture = model.counts_if_alive(TYPICAL[model.name], x, t, float(horizon), 1.0)
    likely = model.p_alive(TYPICAL[model.name], x, tx, t) * reached(
        mixture, np.full_like(x, 12), np.full_like(x, 1e-14)
    )
    for group in (x == 0, x == 1, (x > 1) & (x < 6), x > 5):
        for k in (1, 2, 3, 5, 8, 12):
            told = likely[k - 1, group]
            chance = np.sqrt((told * (1 - told)).sum())
            assert abs((later[group] >= k).sum() - told.sum()) < 4 * chance + 1, (k, group.sum())
    found = likely_orders(of(model), known(x, tx, t), horizon)
    assert (later < found.low).mean() < 0.1 and (later > found.high).mean() < 0.1
    seen = judge_intervals(of(model), known(x, tx, t, later), horizon)
    assert seen.expected > 0.8 and seen.drift <= 0.01
    assert seen.actual == pytest.approx(seen.expected, abs=0.008)


@each([NBD, PARETO_NBD, POOLED])
def test_drift_widens_and_leaves_the_mean(model) -> None:
    mixture = model.counts_if_alive(TYPICAL[model.name], X, T, 52.0, 1.0)
    spread = reached(mixture.spread(0.3), np.full_like(X, 9_000), np.full_like(X, 1e-14))
    expected = model.orders_if_alive(TYPICAL[model.name], X, T, 52.0)
    assert spread.sum(axis=0) == pytest.approx(expected, rel=1e-9)
    plain = reached(mixture, np.full_like(X, len(spread)), np.full_like(X, -1.0))
    ranks = 2 * np.arange(1, len(spread) + 1)[:, np.newaxis] - 1
    squares = (ranks * spread).sum(axis=0), (ranks * plain).sum(axis=0)
    assert (squares[0] > 1.02 * squares[1]).all()


def test_drift_is_learned_from_what_came_and_makes_intervals_hold() -> None:
    """Frequent buyers whose rates change by half: without drift a third of them would lie outside."""
    random = np.random.default_rng(6)
    size, drift = 4_000, 0.25
    rate = random.gamma(4, 1 / 80, size)
    t = random.integers(200, 400, size).astype(float)
    x = random.poisson(rate * t).astype(float)
    later = random.poisson(rate * random.gamma(1 / drift, drift, size) * 300).astype(float)
    world = known(x, np.where(x > 0, t, 0), t, later)
    fit = of(NBD, array(4, 80))
    seen = judge_intervals(fit, world, 300)
    assert drift / 1.5 < seen.drift < drift * 1.5
    assert seen.actual == pytest.approx(seen.expected, abs=0.02)
    narrow, wide = likely_orders(fit, world, 300), likely_orders(fit, world, 300, drift=seen.drift)
    assert ((narrow.low <= later) & (later <= narrow.high)).mean() < 0.66
    assert (wide.low <= narrow.low).all() and (wide.high >= narrow.high).all()


@given(
    x=st.integers(0, 300),
    recency=st.floats(0.001, 1),
    t=st.floats(1, 2_000),
    r=st.floats(0.05, 10),
    alpha=st.floats(0.1, 500),
    a=st.floats(0.05, 10),
    b=st.floats(0.1, 500),
    horizon=st.integers(0, 300),
    factor=st.floats(0, 20),
)
@example(x=52, recency=1.0, t=1.0, r=10.0, alpha=3.0, a=1.5, b=1.0, horizon=115, factor=0.0)
@example(x=148, recency=1.0, t=1.0, r=10.0, alpha=3.0, a=2.0, b=0.1, horizon=166, factor=0.0)
@settings(max_examples=60, deadline=None)
def test_any_customer_has_an_interval_that_grows_with_the_horizon(
    x, recency, t, r, alpha, a, b, horizon, factor
) -> None:
    one = known(array(x), array(t * recency if x else 0), array(t))
    for model, at in ((NBD, (r, alpha)), (MBG_NBD, (r, alpha, a, b)), (PARETO_NBD, (r, alpha, a, b))):
        fit = of(model, array(*at))
        near, far = (likely_orders(fit, one, days) for days in (horizon, horizon + 60))
        assert 0 <= near.low <= near.high <= horizon
        # Integrals of Pareto/NBD are good to 4e-4 where such parameters meet; a tie may then fall either way, and
        # where the tail is flat so much probability lies on more than one number of orders.
        slack = 1 + 0.05 * near.high if model is PARETO_NBD else 0
        assert near.low <= far.low + slack and near.high <= far.high + slack
        assert 0.8 - 1e-9 <= near.within <= 1 + 1e-9
        own = expected_orders(model, fit.parameters, one.x, one.tx, one.t, horizon)
        same, other = (likely_orders(fit, one, horizon, mean=own * by) for by in (1, factor))
        assert abs(same.high - near.high) <= 1 and 0 <= other.low <= other.high <= horizon
        assert (other.high <= near.high + 1) if factor < 1 else (other.high >= near.high - 1)


def test_intervals_do_not_depend_on_the_other_customers() -> None:
    """Histories are worked through in chunks, those of equal x and T together."""
    random = np.random.default_rng(2)
    x = random.integers(0, 60, 20_000).astype(float)
    t = random.integers(60, 500, 20_000).astype(float)
    many = known(x, np.where(x > 0, np.minimum(t, x + 20), 0), t)
    for mean in (None, random.uniform(0, 40, 20_000)):
        whole = likely_orders(of(PARETO_NBD), many, 90, mean)
        for row in (0, 8_191, 8_192, 19_999):
            alone = known(many.x[[row]], many.tx[[row]], many.t[[row]])
            found = likely_orders(of(PARETO_NBD), alone, 90, None if mean is None else mean[[row]])
            assert (found.low[0], found.high[0]) == (whole.low[row], whole.high[row])
            assert found.within[0] == pytest.approx(whole.within[row])


def test_who_is_gone_for_certain_buys_nothing() -> None:
    """x = 300 in 30 days, then nothing for years: P(alive) is nought in floating point, and no mean changes that."""
    gone = known(array(300), array(30), array(3_000))
    for mean in (None, array(5)):
        found = likely_orders(of(PARETO_NBD), gone, 365, mean)
        assert (found.low[0], found.high[0], found.within[0]) == (0, 0, 1)


def test_one_customer_in_many_stands_for_all() -> None:
    random = np.random.default_rng(3)
    size = 3_000
    weight = np.floor(random.pareto(1, size)) + 1
    all_of = replace(known(*(random.uniform(0, 9, size) for _ in range(3))), weight=weight)
    rows, some = all_of.one_in_many(2_000)
    assert some.weight.sum() == pytest.approx(2_000, abs=1) and len(rows) < 2_000
    assert some.x.tolist() == all_of.x[rows].tolist()
    assert np.average(some.x, weights=some.weight) == pytest.approx(np.average(all_of.x, weights=weight), abs=0.05)
    rows, same = all_of.one_in_many(10**9)
    assert rows.tolist() == list(range(size)) and same.weight.tolist() == weight.tolist()
    assert known(*(np.zeros(0),) * 3).one_in_many(10)[1].x.tolist() == []


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(tmp_path_factory.mktemp("shop"), invented(1_500), END)


def test_every_customer_of_a_run_has_the_interval_of_the_model_taken(outcome: Outcome) -> None:
    rows = outcome.table("predictions")
    low, high = rows["likely_orders_low"], rows["likely_orders_high"]
    assert (rows["model"] == "pareto_nbd").all() and (low.dtype, high.dtype) == (pl.Int64, pl.Int64)
    assert (low <= high).all() and (high <= rows["horizon_days"]).all()
    (fit,) = outcome.table("model_runs").filter(role="chosen", part="purchases")["parameters"]
    (told,) = outcome.table("backtest_metrics").filter(role="chosen").to_dicts()
    at = array(*json.loads(fit).values())
    drift = told["interval_drift"] * 365 / told["holdout_days"]
    days = (
        invented(1_500)
        .group_by("customer_id")
        .agg(
            x=pl.len() - 1,
            tx=(pl.col("purchase_date").max() - pl.col("purchase_date").min()).dt.total_days(),
            t=(pl.lit(END) - pl.col("purchase_date").min()).dt.total_days(),
        )
    )
    histories = known(*(days.sort("customer_id")[name].cast(pl.Float64).to_numpy() for name in ("x", "tx", "t")))
    expected = likely_orders(of(PARETO_NBD, at), histories, 365, drift=drift)
    assert (low.to_list(), high.to_list()) == (expected.low.tolist(), expected.high.tolist())


def test_the_backtest_says_how_many_lay_within(outcome: Outcome) -> None:
    told = {row["model"]: row for row in outcome.table("backtest_metrics").to_dicts()}
    for name in ("pareto_nbd", "mbg_nbd", "pareto_nbd+last_period"):
        row = told[name]
        assert 0.8 < row["interval_expected_rate"] < 1
        assert row["interval_coverage_rate"] == pytest.approx(row["interval_expected_rate"], abs=0.04), name
    for name, row in told.items():
        has_interval = row["mae"] is not None and name.split("+")[0] not in ("last_period", "own_rate", "boosted_trees")
        assert (row["interval_coverage_rate"] is not None) == has_interval, name
        assert (row["interval_expected_rate"] is not None) == has_interval, name


def test_a_mean_of_model_and_rule_has_intervals_around_itself(
    outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who bought much of late is likely to buy more than the model alone says, who bought nothing less."""
    monkeypatch.setattr(
        "transforms.value.backtest.Backtest.ranking", property(lambda self: ["pareto_nbd+last_period", "pareto_nbd"])
    )
    rows = run(tmp_path, invented(1_500), END).table("predictions")
    assert (rows["model"] == "pareto_nbd+last_period").all() and rows["predicted_orders_low"].null_count() == len(rows)
    assert rows["likely_orders_low"].null_count() == 0 == rows["likely_orders_high"].null_count()
    alone = outcome.table("predictions")
    higher = (rows["predicted_orders"] > 1.2 * alone["predicted_orders"]) & (alone["likely_orders_high"] > 3)
    lower = (rows["predicted_orders"] < 0.8 * alone["predicted_orders"]) & (alone["likely_orders_high"] > 3)
    assert higher.sum() > 20 and lower.any()
    is_more = (rows["likely_orders_high"] > alone["likely_orders_high"]).filter(higher)
    assert is_more.to_numpy().mean() > 0.9
    assert (rows["likely_orders_high"] <= alone["likely_orders_high"]).filter(lower).all()


def test_a_plain_rule_has_no_intervals_and_the_row_says_that_it_is_one(tmp_path: Path) -> None:
    """Everybody buys every so many days: the last period says all, and nothing how far anybody strays from it."""
    days = [
        (f"C{number}", END - dt.timedelta(days=520 - number % 60 - at), 10.0)
        for number in range(600)
        for at in range(0, 520 - number % 60, 5 + number % 40)
    ]
    frame = pl.DataFrame(days, schema=["customer_id", "purchase_date", "net_amount"], orient="row")
    rows = run(tmp_path, purchase_days(frame), END).table("predictions")
    assert rows["likely_orders_low"].null_count() == rows["likely_orders_high"].null_count() == len(rows)
    assert rows["predicted_orders_low"].null_count() == rows["predicted_orders_high"].null_count() == len(rows)
    assert set(rows["fit_status"]) == {"naive"} and rows["fallback_reason"].str.starts_with("naive_wins").all()
