"""Forecasts of three public shops: the one that the product takes, against the libraries' and the plain rules."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.transforms.value.shops import REAL, Outcome, run
from transforms.value.fitting import fit_purchases
from transforms.value.metrics import errors
from transforms.value.models import BG_NBD, MBG_NBD, PARETO_NBD, expected_orders
from transforms.value.sample import sample_of

pytestmark = [pytest.mark.real_data, pytest.mark.slow, pytest.mark.xdist_group("real_value")]


@pytest.fixture(scope="module", params=REAL)
def shop(request: pytest.FixtureRequest, data_folder: Path, tmp_path_factory: pytest.TempPathFactory):
    name = request.param
    folder = {"complete_journey": "completejourney"}.get(name, name)
    if not (data_folder / folder).is_dir():
        pytest.skip(f"no real data: {data_folder} lacks {folder}; WATERSHED_REAL_DATA names the folder")
    days, end = REAL[name](data_folder)
    return name, days, run(tmp_path_factory.mktemp(name), days, end)


def held_out(days: pl.DataFrame, outcome: Outcome) -> tuple[np.ndarray, ...]:
    """x, tx, T at the cut of the outcome's backtest, and what came after, one row per customer."""
    (cut,) = outcome.table("backtest_metrics")["cut_date"].unique().to_list()
    assert isinstance(cut, dt.date)
    known = pl.col("purchase_date").filter(pl.col("purchase_date") <= cut)
    rows = (
        days.group_by("customer_id")
        .agg(
            x=known.len().cast(pl.Int64) - 1,
            tx=(known.max() - known.min()).dt.total_days(),
            t=(pl.lit(cut) - known.min()).dt.total_days(),
            later=(pl.col("purchase_date") > cut).sum(),
        )
        .filter(pl.col("x") >= 0)
    )
    return tuple(rows[name].cast(pl.Float64).to_numpy() for name in ("x", "tx", "t", "later"))


def test_the_forecast_taken_is_no_worse_than_libraries_and_plain_rules(shop) -> None:
    """The libraries publish what their optimiser ends with; the same fits, unjudged, stand in for them here."""
    name, days, outcome = shop
    told = {row["model"]: row for row in outcome.table("backtest_metrics").to_dicts() if row["mae"] is not None}
    (taken,) = [row for row in told.values() if row["role"] == "chosen"]
    x, tx, t, later = held_out(days, outcome)
    horizon = float(taken["holdout_days"])
    for model in (BG_NBD, MBG_NBD, PARETO_NBD):
        at = fit_purchases(model, sample_of(x, tx, t)).parameters
        library = errors(expected_orders(model, at, x, tx, t, horizon), later, np.ones_like(x))
        assert taken["mae"] <= library.mae + 1e-9, (name, model.name)
    for rule in ("last_period", "own_rate", "boosted_trees"):
        assert taken["mae"] <= told[rule]["mae"], (name, rule)
    assert abs(taken["bias"]) < 0.1


def test_amounts_are_forecast_better_than_by_means(shop) -> None:
    name, _, outcome = shop
    runs = outcome.table("model_runs").filter(pl.col("part") == "spend")
    errors = {row["model"]: row["holdout_mae"] for row in runs.to_dicts()}
    assert errors["gamma_gamma"] < min(errors["mean"], errors["pooled_mean"]), name


def test_p_buy_ranks_better_than_recency(shop) -> None:
    name, _, outcome = shop
    runs = outcome.table("model_runs").filter("is_propensity")
    (row,) = outcome.table("backtest_metrics").filter(pl.col("model") == runs["model"].item()).to_dicts()
    assert row["propensity_days"] == 90
    assert row["auc_p_buy"] > row["auc_recency"], name


def test_what_each_shop_is_told(shop) -> None:
    """CDNOW has a model; a panel has one with cohorts; wholesalers go by their last months, and it is said."""
    name, days, outcome = shop
    told = outcome.table("predictions").select("model", "propensity_model", "fit_status", "fallback_reason").unique()
    (row,) = told.to_dicts()
    expected = {
        "cdnow": ("mbg_nbd", "mbg_nbd", "accepted"),
        "online_retail": ("last_period", "nbd_cohorts", "naive"),
        "complete_journey": ("nbd_cohorts", "mbg_nbd_cohorts", "accepted"),
    }
    assert (row["model"], row["propensity_model"], row["fit_status"]) == expected[name]
    reason = row["fallback_reason"] or ""
    assert ("no_dropout_found" in reason) == (name == "online_retail")
    assert outcome.table("model_runs")["is_left_truncated"].all() == (name == "complete_journey")
    assert outcome.table("predictions").height == days["customer_id"].n_unique()


@pytest.mark.parametrize(
    ("name", "cut", "days"),
    [
        ("cdnow", dt.date(1997, 9, 30), 273),
        ("online_retail", dt.date(2011, 6, 10), 182),
        ("complete_journey", dt.date(2017, 9, 3), 119),
    ],
)
def test_a_choice_made_before_the_holdout_holds_in_it(name, cut, days, data_folder, tmp_path) -> None:
    """Everything is decided on the days up to the cut, the backtest too. The models of the libraries are fitted on the
    same days; lifetimes 0.11.3 ends at the same errors, to 1e-4 where its search converges."""
    if not (data_folder / {"complete_journey": "completejourney"}.get(name, name)).is_dir():
        pytest.skip(f"no real data: {data_folder}")
    frame, _ = REAL[name](data_folder)
    outcome = run(tmp_path, frame, cut, value_horizon_days=days)
    x, tx, t, later, recent = nested(frame, cut, days)
    told = outcome.table("predictions").sort("customer_id")["predicted_orders"].to_numpy()
    rivals = {
        model.name: expected_orders(model, fit_purchases(model, sample_of(x, tx, t)).parameters, x, tx, t, days)
        for model in (BG_NBD, MBG_NBD, PARETO_NBD)
    }
    rivals["last_period"] = recent
    rivals["own_rate"] = np.divide(x, t, out=np.zeros_like(x), where=t > 0) * days
    found = np.abs(told - later).mean()
    for rival, forecast in rivals.items():
        assert found <= np.abs(forecast - later).mean() + 1e-4, (name, rival)
    assert abs(told.sum() / later.sum() - 1) < 0.15


def nested(frame: pl.DataFrame, cut: dt.date, days: int) -> tuple[np.ndarray, ...]:
    """x, tx, T at the cut, purchase days in the days after it, and the last period's, one row per customer."""
    first = frame["purchase_date"].min()
    assert isinstance(first, dt.date)
    lookback = min(days, (cut - first).days)
    day = pl.col("purchase_date")
    known = day.filter(day <= cut)
    rows = (
        frame.group_by("customer_id")
        .agg(
            x=known.len().cast(pl.Int64) - 1,
            tx=(known.max() - known.min()).dt.total_days(),
            t=(pl.lit(cut) - known.min()).dt.total_days(),
            later=day.is_between(cut, cut + dt.timedelta(days=days), closed="right").sum(),
            recent=day.is_between(cut - dt.timedelta(days=lookback), cut, closed="right").sum() * days / lookback,
        )
        .filter(pl.col("x") >= 0)
        .sort("customer_id")
    )
    return tuple(rows[name].cast(pl.Float64).to_numpy() for name in ("x", "tx", "t", "later", "recent"))
