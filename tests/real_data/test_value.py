"""Forecasts of three public shops: the one that the product takes, against the libraries' and the plain rules."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.transforms.value.shops import CUTS, REAL, histories, run

pytestmark = [pytest.mark.real_data, pytest.mark.slow, pytest.mark.xdist_group("real_value")]


@pytest.fixture(scope="module", params=REAL)
def shop(request: pytest.FixtureRequest, data_folder: Path, tmp_path_factory: pytest.TempPathFactory):
    name = request.param
    folder = {"complete_journey": "completejourney"}.get(name, name)
    if not (data_folder / folder).is_dir():
        pytest.skip(f"no real data: {data_folder} lacks {folder}; WATERSHED_REAL_DATA names the folder")
    days, end = REAL[name](data_folder)
    return name, days, run(tmp_path_factory.mktemp(name), days, end)


def library_errors(shop: str, kind: str, cut: dt.date, days: int) -> dict[str, float]:
    """Mean absolute errors of the libraries' own forecasts, as ``make benchmark-holdout`` found them."""
    lines = json.loads((Path(__file__).parent / "library_forecasts.json").read_text(encoding="utf-8"))
    found = {
        f"{line['library']} {line['model']}": line["mae"]
        for line in lines
        if (line["shop"], line["kind"], line["cut"], line["days"]) == (shop, kind, str(cut), days) and line["mae"]
    }
    assert {name.split()[0] for name in found} == {"lifetimes", "pymc-marketing"}, "make benchmark-holdout anew"
    return found


# The libraries' searches stop at other digits than ours; a tenth of a per mille of a purchase is none to a marketer.
DIGITS = 1e-4


def test_the_forecast_taken_is_no_worse_than_libraries_and_plain_rules(shop) -> None:
    name, _, outcome = shop
    told = {row["model"]: row for row in outcome.table("backtest_metrics").to_dicts() if row["mae"] is not None}
    (taken,) = [row for row in told.values() if row["role"] == "chosen"]
    for library, mae in library_errors(name, "its own backtest", taken["cut_date"], taken["holdout_days"]).items():
        assert taken["mae"] <= mae + DIGITS, (name, library)
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


@pytest.mark.parametrize("name", REAL)
def test_a_choice_made_before_the_holdout_holds_in_it(name: str, data_folder: Path, tmp_path: Path) -> None:
    """Everything is decided on the days up to the cut, the backtest too."""
    if not (data_folder / {"complete_journey": "completejourney"}.get(name, name)).is_dir():
        pytest.skip(f"no real data: {data_folder}")
    days, _ = REAL[name](data_folder)
    cut, length = CUTS[name]
    told = run(tmp_path, days, cut, value_horizon_days=length).table("predictions")
    both = histories(days, cut, length).join(told, on="customer_id", validate="1:1")
    found = mean_error(both["predicted_orders"], both["later"])
    rivals = library_errors(name, "days unseen", cut, length)
    rivals |= {rule: mean_error(both[rule], both["later"]) for rule in ("last_period", "own_rate")}
    for rival, error in rivals.items():
        assert found <= error + DIGITS, (name, rival)
    assert abs(both["predicted_orders"].sum() / both["later"].sum() - 1) < 0.15


def mean_error(forecast: pl.Series, later: pl.Series) -> float:
    return float(np.abs(forecast.to_numpy() - later.to_numpy()).mean())
