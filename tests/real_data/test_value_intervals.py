"""Intervals of a customer's count of purchases in three public shops: how many lay within them, and where they fail."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.transforms.value.shops import REAL, run, write_warehouse
from transforms.sql import scratch_connection
from transforms.value.backtest import Backtest, run_backtest
from transforms.value.candidates import Fit
from transforms.value.diagnostics import Verdict
from transforms.value.fitting import fit_purchases
from transforms.value.intervals import likely_orders
from transforms.value.models import NBD
from transforms.value.sample import sample_of
from transforms.value.summary import Histories, find_window, read_purchase_days, summarise

pytestmark = [pytest.mark.real_data, pytest.mark.slow, pytest.mark.xdist_group("real_value")]
FOLDERS = {"complete_journey": "completejourney"}


def shop_of(name: str, data_folder: Path) -> tuple[pl.DataFrame, dt.date]:
    if not (data_folder / FOLDERS.get(name, name)).is_dir():
        pytest.skip(f"no real data: {data_folder} lacks {name}; WATERSHED_REAL_DATA names the folder")
    return REAL[name](data_folder)


def backtest_of(home: Path, days: pl.DataFrame, end: dt.date) -> Backtest:
    settings = write_warehouse(home, days)
    with scratch_connection(settings) as connection:
        read_purchase_days(connection, settings.warehouse, end)
        window = find_window(connection, end, 365)
        assert window is not None
        summarise(connection, window)
        return run_backtest(connection, window)


@pytest.mark.parametrize(
    ("name", "models"),
    [
        ("cdnow", ("mbg_nbd", "pareto_nbd", "mbg_nbd+last_period")),
        ("online_retail", ("nbd", "nbd+last_period", "nbd_cohorts+last_period")),
        ("complete_journey", ("nbd_cohorts", "pareto_nbd", "mbg_nbd_cohorts+last_period")),
    ],
)
def test_intervals_hold_about_as_many_customers_as_they_should(name, models, data_folder, tmp_path) -> None:
    found = backtest_of(tmp_path, *shop_of(name, data_folder)).contenders
    for model in models:
        told = found[model].coverage
        assert told is not None and told.actual > 0.8, model
        assert told.actual == pytest.approx(told.expected, abs=0.04), model


def test_households_change_their_rates_so_that_intervals_of_half_a_year_are_too_narrow(data_folder) -> None:
    """Why intervals know a drift, as docs/value.md tells it: counts of a few weeks lie within intervals of constant
    rates, and the longer the time ahead the fewer do. From week to week households buy more evenly than by chance, from
    half-year to half-year three times less so."""
    days, _ = shop_of("complete_journey", data_folder)
    cut = dt.date(2017, 7, 2)
    seen = {ahead: _seen(days, cut, ahead) for ahead in (7, 28, 182)}
    assert seen[7] == pytest.approx((0.94, 0.94), abs=0.01)
    assert seen[28] == pytest.approx((0.86, 0.89), abs=0.01)
    assert seen[182] == pytest.approx((0.66, 0.83), abs=0.01)
    day = pl.col("purchase_date")
    week = (day - cut).dt.total_days() // 7
    assert _dispersion(days, week % 2 == 0, week % 2 == 1) < 0.7
    old = days.filter(day.min().over("customer_id") <= cut - dt.timedelta(days=182))
    assert _dispersion(old, day.is_between(cut - dt.timedelta(days=181), cut), day > cut) > 2.5


@pytest.mark.parametrize(
    ("name", "cut", "ahead", "within"),
    [
        ("cdnow", dt.date(1997, 9, 30), 273, 0.883),
        ("online_retail", dt.date(2011, 6, 10), 182, 0.907),
        ("complete_journey", dt.date(2017, 9, 3), 119, 0.843),
        ("complete_journey", dt.date(2017, 7, 2), 182, 0.770),
    ],
)
def test_intervals_told_before_the_holdout_hold_in_it(name, cut, ahead, within, data_folder, tmp_path) -> None:
    """Model, parameters and drift are those of a run on the day of the cut."""
    days, _ = shop_of(name, data_folder)
    told = run(tmp_path, days, cut, value_horizon_days=ahead).table("predictions")
    day = pl.col("purchase_date")
    later = days.group_by("customer_id").agg(
        later=day.is_between(cut, cut + dt.timedelta(days=ahead), closed="right").sum()
    )
    seen = told.join(later, on="customer_id").select(
        pl.col("later").is_between("likely_orders_low", "likely_orders_high").mean()
    )
    assert seen.item() == pytest.approx(within, abs=0.02)


def _seen(days: pl.DataFrame, cut: dt.date, ahead: int) -> tuple[float, float]:
    """Shares within intervals that know no drift, as they came and as NBD expects them."""
    day = pl.col("purchase_date")
    before = day.filter(day <= cut)
    rows = (
        days.group_by("customer_id")
        .agg(
            x=before.len().cast(pl.Int64) - 1,
            tx=(before.max() - before.min()).dt.total_days(),
            t=(pl.lit(cut) - before.min()).dt.total_days(),
            later=day.is_between(cut, cut + dt.timedelta(days=ahead), closed="right").sum(),
        )
        .filter(pl.col("x") >= 0)
        .sort("customer_id")
    )
    x, tx, t, later = (rows[name].cast(pl.Float64).to_numpy() for name in ("x", "tx", "t", "later"))
    fit = Fit(NBD, fit_purchases(NBD, sample_of(x, tx, t)), Verdict(True))
    found = likely_orders(fit, Histories(x, tx, t, x, np.ones_like(x), later, later), ahead)
    return float(((found.low <= later) & (later <= found.high)).mean()), float(found.within.mean())


def _dispersion(days: pl.DataFrame, first: pl.Expr, second: pl.Expr) -> float:
    """Variance of the counts in one time against another of the same customers, over that of constant rates, 1."""
    counts = days.group_by("customer_id").agg(first=first.sum(), second=second.sum()).cast({"first": float})
    one, both = counts["first"].to_numpy(), (counts["first"] + counts["second"]).to_numpy()
    share = one.sum() / both.sum()
    return float(((one - share * both) ** 2).sum() / (share * (1 - share) * both).sum())
