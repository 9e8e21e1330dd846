"""A value run over purchase days: what it predicts, what it refuses, and that the way of the data changes nothing."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from transforms.value import ensure_empty_outcome, forecast_value
from transforms.value.store import SCHEMAS, ValueStore

from .shops import Outcome, invented, purchase_days, run, write_warehouse

END = dt.date(2025, 6, 30)


def orders(*rows: tuple[str, str, float]) -> pl.DataFrame:
    """Purchase days from (customer, day, amount)."""
    days = [(customer, dt.date.fromisoformat(day), amount) for customer, day, amount in rows]
    return purchase_days(pl.DataFrame(days, schema=["customer_id", "purchase_date", "net_amount"], orient="row"))


@pytest.fixture(scope="module")
def shop() -> pl.DataFrame:
    return invented(1_500)


@pytest.fixture(scope="module")
def outcome(shop: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(tmp_path_factory.mktemp("shop"), shop, END)


def reasons(outcome: Outcome) -> set[tuple[str, str, str]]:
    """Model, status and code of the reason of each prediction."""
    rows = outcome.table("predictions").select("model", "fit_status", "fallback_reason").unique().rows()
    return {(model, status, (reason or "").split(":")[0]) for model, status, reason in rows}


def no_number_is_none(outcome: Outcome) -> bool:
    return all(
        outcome.table(name)
        .select(pl.col(pl.Float64).is_nan().any() | pl.col(pl.Float64).is_infinite().any())
        .select(pl.any_horizontal(pl.all().fill_null(False)))
        .item()
        is False
        for name in SCHEMAS
    )


def test_every_customer_has_one_row_and_every_number_is_one(shop: pl.DataFrame, outcome: Outcome) -> None:
    predictions = outcome.table("predictions")
    assert predictions["customer_id"].to_list() == sorted(shop["customer_id"].unique())
    assert no_number_is_none(outcome)
    may_be_null = ("expected_next_order_date", "fallback_reason", "margin_setting")
    assert predictions.null_count().drop(may_be_null).sum_horizontal().item() == 0
    assert reasons(outcome) == {("pareto_nbd", "accepted", "")}


def test_figures_of_a_row_agree_with_each_other(outcome: Outcome) -> None:
    rows = outcome.table("predictions").with_columns(pl.col(pl.Decimal).cast(pl.Float64))
    ordered = ("p_buy_30", "p_buy_90", "p_buy_365", "p_alive")
    for less, more in pairwise(ordered):
        assert (rows[less] <= rows[more] + 1e-12).all()
    for what in ("predicted_orders_{}", "predicted_clv_{}_amount"):
        for less, more in pairwise(what.format(days) for days in (30, 90, 365)):
            assert (rows[less] <= rows[more]).all() and rows[less].sum() < rows[more].sum()
    # The horizon is a year.
    assert rows["predicted_orders_365"].equals(rows["predicted_orders"])
    assert rows["predicted_clv_365_amount"].equals(rows["predicted_clv_amount"])
    for what in ("predicted_orders", "predicted_clv"):
        end = "_amount" if what == "predicted_clv" else ""
        assert (rows[f"{what}_low{end}"] <= rows[f"{what}{end}"]).all()
        assert (rows[f"{what}{end}"] <= rows[f"{what}_high{end}"]).all()
    # Discounting takes a few per cent, returns nothing here.
    gross = rows["predicted_orders"] * rows["expected_order_value_amount"]
    ratio = rows["predicted_clv_amount"].sum() / gross.sum()
    assert 0.94 < ratio < 0.97
    # The day of the next purchase is one on which P(buy) passes a half.
    soon = rows["expected_next_order_date"] <= END + dt.timedelta(days=90)
    assert (rows.filter(soon)["p_buy_90"] >= 0.5).all()
    assert (rows.filter(rows["expected_next_order_date"].is_null())["p_buy_365"] < 0.5).all()


def test_the_future_of_an_invented_world_comes_as_forecast(tmp_path: Path) -> None:
    """The run knows a year of a world whose next half year is written, too."""
    world = invented(6_000, seed=3, days=720)
    cut = END - dt.timedelta(days=180)
    seen = run(tmp_path, world, cut, value_horizon_days=180)
    later = world.filter(
        pl.col("purchase_date") > cut, pl.col("customer_id").is_in(seen.table("predictions")["customer_id"].implode())
    )
    told = seen.table("predictions")["predicted_orders"].sum()
    assert told == pytest.approx(later.height, rel=0.06)
    bought = set(later.filter(pl.col("purchase_date") <= cut + dt.timedelta(days=90))["customer_id"])
    assert seen.table("predictions")["p_buy_90"].sum() == pytest.approx(len(bought), rel=0.06)
    amount = float(seen.table("predictions")["predicted_clv_amount"].sum())
    assert amount == pytest.approx(float(later["net_amount"].sum()) * 0.976, rel=0.09)


def test_the_order_of_rows_changes_nothing(shop: pl.DataFrame, outcome: Outcome, tmp_path: Path) -> None:
    shuffled = run(tmp_path, shop.sample(fraction=1, shuffle=True, seed=8), END)
    for name in SCHEMAS:
        assert shuffled.table(name).equals(outcome.table(name)), name


def test_purchases_after_as_of_are_left_out_and_counted(shop: pl.DataFrame, outcome: Outcome, tmp_path: Path) -> None:
    future = orders(("C000001", "2025-07-01", 10), ("new", "2026-01-01", 10))
    seen = run(tmp_path, pl.concat([shop, future]), END)
    assert ValueStore(seen.settings).state()["purchase_days_after_as_of"] == 2
    assert seen.table("predictions").equals(outcome.table("predictions"))


def test_a_day_in_the_past_is_a_function_of_what_was_known_then(shop: pl.DataFrame, tmp_path: Path) -> None:
    day = END - dt.timedelta(days=60)
    looked_back = run(tmp_path / "all", shop, day)
    on_the_day = run(tmp_path / "then", shop.filter(pl.col("purchase_date") <= day), day)
    for name in SCHEMAS:
        assert looked_back.table(name).equals(on_the_day.table(name)), name


def test_merged_customers_are_one_history(shop: pl.DataFrame, tmp_path: Path) -> None:
    """Two ids that identity has made one: purchase days of both count, a day that both share once."""
    merged = shop.with_columns(pl.col("customer_id").replace({"C000002": "C000001"}))
    seen = run(tmp_path, purchase_days(merged), END).table("predictions")
    assert seen.height == shop["customer_id"].n_unique() - 1
    assert "C000002" not in seen["customer_id"]


def test_unlike_currencies_of_one_customer_are_refused_by_name(shop: pl.DataFrame, tmp_path: Path) -> None:
    mixed = pl.concat([shop, orders(("C000001", "2025-06-29", 5)).with_columns(currency=pl.lit("USD"))])
    with pytest.raises(ValueError, match="customer C000001 has amounts in EUR and USD"):
        run(tmp_path, mixed, END)


def test_each_currency_has_its_own_spend(shop: pl.DataFrame, tmp_path: Path) -> None:
    """Half of the customers pay in yen: 160 times the figure, the same number of orders."""
    is_yen = pl.col("customer_id").str.tail(1).cast(pl.Int64) % 2 == 0
    yen = shop.with_columns(
        pl.when(is_yen)
        .then(pl.col("net_amount") * 160)
        .otherwise(pl.col("net_amount"))
        .cast(pl.Decimal(18, 2))
        .alias("net_amount"),
        pl.when(is_yen).then(pl.lit("JPY")).otherwise(pl.lit("EUR")).alias("currency"),
    )
    seen = run(tmp_path, yen, END)
    spend = seen.table("model_runs").filter(pl.col("part") == "spend", pl.col("role") == "chosen")
    gamma = {row["currency"]: json.loads(row["parameters"])["gamma"] for row in spend.to_dicts()}
    assert gamma["JPY"] / gamma["EUR"] == pytest.approx(160, rel=0.4)
    means = seen.table("predictions").group_by(is_yen.alias("yen")).agg(pl.col("expected_order_value_amount").mean())
    value = {row["yen"]: float(row["expected_order_value_amount"]) for row in means.to_dicts()}
    assert value[True] / value[False] == pytest.approx(160, rel=0.1)


def test_returns_lower_what_a_purchase_is_worth(shop: pl.DataFrame, outcome: Outcome, tmp_path: Path) -> None:
    """A quarter of the money went back: purchases stay, and the expected value is a quarter less."""
    net = shop.group_by("customer_id").agg((pl.col("net_amount").sum() * Decimal("0.75")).alias("net_revenue_amount"))
    seen = run(tmp_path, shop, END, net).table("predictions")
    before = outcome.table("predictions")
    assert seen["predicted_orders"].equals(before["predicted_orders"])
    assert float(seen["predicted_clv_amount"].sum()) == pytest.approx(
        0.75 * float(before["predicted_clv_amount"].sum()), rel=1e-3
    )


def test_margin_horizon_and_discount_are_settings(shop: pl.DataFrame, outcome: Outcome, tmp_path: Path) -> None:
    whole = float(outcome.table("predictions")["predicted_clv_amount"].sum())
    third = run(tmp_path / "margin", shop, END, value_margin=0.3).table("predictions")
    assert float(third["predicted_clv_amount"].sum()) == pytest.approx(0.3 * whole, rel=1e-3)
    assert float(third["predicted_net_revenue_amount"].sum()) == pytest.approx(whole, rel=1e-3)
    assert third["margin_setting"].unique().to_list() == [0.3]
    plain = run(tmp_path / "plain", shop, END, value_discount_rate=0.0).table("predictions")
    assert float(plain["predicted_clv_amount"].sum()) > 1.03 * whole
    nothing = run(tmp_path / "nothing", shop, END, value_horizon_days=0).table("predictions")
    assert float(nothing["predicted_clv_amount"].sum()) == 0 and nothing["predicted_orders"].sum() == 0
    assert nothing["horizon_days"].unique().to_list() == [0]


def test_a_purchase_without_an_amount_counts_as_a_purchase(shop: pl.DataFrame, tmp_path: Path) -> None:
    """No exchange rate is known for the day: the customer bought, and is worth what a customer of the currency is."""
    unknown = orders(("foreign", "2025-06-01", 1)).with_columns(net_amount=pl.lit(None, dtype=pl.Decimal(18, 2)))
    seen = (
        run(tmp_path, pl.concat([shop, unknown]), END).table("predictions").filter(pl.col("customer_id") == "foreign")
    )
    assert seen["predicted_orders"].item() > 0 and seen["predicted_clv_amount"].item() > 0


def test_a_wholesale_customer_leaves_the_others_as_they_are(
    shop: pl.DataFrame, outcome: Outcome, tmp_path: Path
) -> None:
    """One who buys for 90,000 every second day."""
    days = [END - dt.timedelta(days=2 * number) for number in range(260)]
    wholesale = purchase_days(pl.DataFrame({"customer_id": "W", "purchase_date": days, "net_amount": 90_000.0}))
    seen = run(tmp_path, pl.concat([shop, wholesale]), END)
    assert no_number_is_none(seen)
    table = seen.table("predictions")
    big = table.filter(pl.col("customer_id") == "W")
    assert 120 < big["predicted_orders"].item() < 183
    assert float(big["expected_order_value_amount"].item()) == pytest.approx(90_000, rel=0.05)
    others = table.filter(pl.col("customer_id") != "W")["predicted_orders"].sum()
    assert others == pytest.approx(outcome.table("predictions")["predicted_orders"].sum(), rel=0.1)


@pytest.mark.parametrize(
    ("days", "code"),
    [
        (orders(("A", "2025-01-01", 10)), "too_few_customers"),
        (orders(*((f"C{n}", d, 9.0) for n in range(3) for d in ("2024-06-01", "2025-06-01"))), "too_few_customers"),
        (invented(900, days=120), "too_short_history"),
        (
            invented(900)
            .group_by("customer_id")
            .first()
            .select("customer_id", "purchase_date", "net_amount", "currency"),
            "no_repeat_buyers",
        ),
        (
            orders(*((f"C{n}", f"2025-0{2 + n % 5}-01", 9.0) for n in range(600)), ("C1", "2025-06-20", 9)),
            "too_short_history",
        ),
        (
            orders(*((f"C{n}", f"2024-0{1 + n % 9}-01", 9.0) for n in range(600)), ("C1", "2025-06-20", 9)),
            "no_frequent_buyers",
        ),
        (invented(900).filter(pl.col("purchase_date") < END - dt.timedelta(days=40)), "no_recent_orders"),
    ],
    ids=["one customer", "three customers", "short", "one-time buyers", "five months", "one repeat buyer", "stopped"],
)
def test_where_there_is_too_little_nothing_is_predicted_and_the_row_says_why(days, code: str, tmp_path: Path) -> None:
    seen = run(tmp_path, days, END)
    assert reasons(seen) == {("historic", "not_fitted", code)}
    assert not seen.report.is_sound and code in seen.report.finding
    predicted = seen.table("predictions").select("predicted_orders", "predicted_clv_amount", "p_alive", "p_buy_90")
    assert predicted.null_count().row(0) == (predicted.height,) * 4
    runs = seen.table("model_runs")
    assert set(runs["fit_status"]) == {"not_run"} and all(reason.startswith(code) for reason in runs["reason"])
    assert seen.table("backtest_metrics").is_empty()


def test_without_any_purchase_every_table_is_there_and_empty(tmp_path: Path) -> None:
    seen = run(tmp_path, pl.DataFrame(), END)
    assert [seen.table(name).height for name in SCHEMAS] == [0] * len(SCHEMAS)
    assert "no_purchases" in seen.report.finding


def test_a_shop_where_nobody_leaves_falls_back_and_says_so(tmp_path: Path) -> None:
    seen = run(tmp_path, invented(1_500, leaves=1e9), END)
    ((model, status, _),) = reasons(seen)
    assert (model, status) in {("nbd", "fallback"), ("own_rate", "naive")}
    (reason,) = seen.table("predictions")["fallback_reason"].unique().to_list()
    assert "pareto_nbd not used: no_dropout_found" in reason and reason in seen.report.finding
    rejected = seen.table("model_runs").filter(pl.col("model").is_in(["pareto_nbd", "mbg_nbd"]))
    assert rejected["fit_status"].to_list() == ["rejected", "rejected"]
    assert seen.table("predictions")["propensity_model"].unique().to_list() == ["nbd"]
    assert not seen.report.is_sound


def test_regular_customers_are_left_to_the_plain_rule_that_beats_every_model(tmp_path: Path) -> None:
    """Everybody buys every so many days, as by a subscription: the last period says all, models expect chance."""
    days = []
    for number in range(700):
        step = 5 + number % 40
        first = END - dt.timedelta(days=520 - number % 60)
        days += [
            (f"C{number}", first + dt.timedelta(days=at), 10.0 + number % 7) for at in range(0, 520 - number % 60, step)
        ]
    frame = purchase_days(pl.DataFrame(days, schema=["customer_id", "purchase_date", "net_amount"], orient="row"))
    seen = run(tmp_path, frame, END)
    ((model, status, code),) = reasons(seen)
    assert (status, code) == ("naive", "naive_wins") and model in {"last_period", "own_rate"}
    assert "naive_wins" in seen.report.finding and not seen.report.is_sound
    told = seen.table("predictions")
    assert told["predicted_clv_low_amount"].null_count() == told.height
    assert told["predicted_clv_amount"].null_count() == 0
    losers = seen.table("backtest_metrics").filter(pl.col("loses_to_naive"))
    assert "pooled" in losers["model"].to_list()


def test_a_history_that_begins_in_the_middle_is_told(shop: pl.DataFrame, tmp_path: Path) -> None:
    """The data begin when all were customers already: their first day in the data is not their first."""
    seen = run(tmp_path, shop.filter(pl.col("purchase_date") > END - dt.timedelta(days=250)), END)
    whole = run(tmp_path / "whole", shop, END)
    assert not whole.table("model_runs")["is_left_truncated"].any()
    panel = invented(900, days=540).with_columns(
        pl.when(pl.col("purchase_date") == pl.col("purchase_date").min().over("customer_id"))
        .then(pl.date(2024, 1, 10))
        .otherwise(pl.col("purchase_date"))
        .alias("purchase_date")
    )
    told = run(tmp_path / "panel", purchase_days(panel), END)
    assert told.table("model_runs")["is_left_truncated"].all()
    assert "older than the data" in told.report.finding
    assert seen.report.customers > 0


def test_the_backtest_knows_nothing_of_the_holdout(shop: pl.DataFrame, outcome: Outcome, tmp_path: Path) -> None:
    """Forecasts are the same whether or not purchases came after the cut; customers acquired later do not count."""
    metrics = outcome.table("backtest_metrics")
    (cut,) = metrics["cut_date"].unique().to_list()
    first = shop.group_by("customer_id").agg(pl.col("purchase_date").min())
    assert metrics["customers"].unique().to_list() == [first.filter(pl.col("purchase_date") <= cut).height]
    # Nobody buys after the cut but one, who keeps the day of the run where it is.
    silent = shop.filter((pl.col("purchase_date") <= cut) | (pl.col("customer_id") == "C000007"))
    keeper = orders(("C000007", "2025-06-25", 10))
    seen = run(tmp_path, purchase_days(pl.concat([silent, keeper])), END).table("backtest_metrics")
    assert seen["cut_date"].unique().to_list() == [cut]
    before = dict(metrics.select("model", "predicted_orders").rows())
    after = dict(seen.select("model", "predicted_orders").rows())
    assert after == pytest.approx(before, rel=1e-6)


def test_a_holdout_without_purchases_has_no_bias(tmp_path: Path) -> None:
    """One purchase keeps the data alive, of a customer who came after the cut."""
    shop = invented(900, days=540)
    # 217 days are held out: to the 323 before them as a year is to all 540.
    silent = END - dt.timedelta(days=220)
    keeper = orders(("late", "2025-06-25", 10))
    seen = run(tmp_path, pl.concat([shop.filter(pl.col("purchase_date") <= silent), keeper]), END)
    assert seen.table("backtest_metrics")["holdout_days"].unique().to_list() == [217]
    metrics = seen.table("backtest_metrics").filter(pl.col("mae").is_not_null())
    assert no_number_is_none(seen)
    assert metrics["actual_orders"].sum() == 0
    assert metrics.select("bias", "spearman", "auc_p_buy").null_count().row(0) == (metrics.height,) * 3


def test_calibration_and_tracking_add_up(shop: pl.DataFrame, outcome: Outcome) -> None:
    metrics = {row["model"]: row for row in outcome.table("backtest_metrics").to_dicts() if row["mae"] is not None}
    for name in ("calibration_by_x", "calibration_by_decile"):
        table = outcome.table(name)
        sums = table.group_by("model").agg(
            pl.col("customers").sum(),
            (pl.col("customers") * pl.col("actual_mean_orders")).sum().alias("actual"),
            (pl.col("customers") * pl.col("predicted_mean_orders")).sum().alias("predicted"),
        )
        assert set(sums["model"]) == set(metrics)
        for row in sums.to_dicts():
            told = metrics[row["model"]]
            assert row["customers"] == told["customers"]
            assert row["actual"] == pytest.approx(told["actual_orders"])
            assert row["predicted"] == pytest.approx(told["predicted_orders"])
    tracked = outcome.table("tracking_weekly").filter(pl.col("model") == "pareto_nbd").sort("week")
    (cut,) = outcome.table("backtest_metrics")["cut_date"].unique().to_list()
    first = shop.group_by("customer_id").agg(pl.col("purchase_date").min().alias("first"))
    cohort = shop.join(first.filter(pl.col("first") <= cut), on="customer_id")
    repeats = cohort.filter(
        pl.col("purchase_date") > pl.col("first"), pl.col("purchase_date") <= tracked["week_end_date"].max()
    )
    assert tracked["actual_cumulative_orders"].to_list()[-1] == repeats.height
    assert tracked["is_holdout"].to_list() == [day > cut for day in tracked["week_end_date"]]
    last = tracked.row(-1, named=True)
    assert last["predicted_cumulative_orders"] == pytest.approx(repeats.height, rel=0.1)


def test_means_lie_between_their_parts(outcome: Outcome) -> None:
    """A mean of a model and the last period forecasts the mean of their sums, and none stands for a model refused."""
    told = {row["model"]: row for row in outcome.table("backtest_metrics").to_dicts()}
    means = [name for name in told if "+" in name]
    assert len(means) == 6
    for name in means:
        model, rule = (told[part] for part in name.split("+"))
        if model["predicted_orders"] is None:
            assert told[name]["predicted_orders"] is None and told[name]["reason"] == model["reason"]
        else:
            expected = (model["predicted_orders"] + rule["predicted_orders"]) / 2
            assert told[name]["predicted_orders"] == pytest.approx(expected)
            assert told[name]["mae"] <= (model["mae"] + rule["mae"]) / 2 + 1e-12
    # Customers of this world do not differ by cohort.
    assert told["pareto_nbd_cohorts+last_period"]["reason"].startswith("no_cohort_effect")


def test_amounts_are_held_out_too(shop: pl.DataFrame, outcome: Outcome) -> None:
    """Errors of the three forecasts are those of means around the cut."""
    runs = outcome.table("model_runs").filter(pl.col("part") == "spend")
    errors = {row["model"]: row["holdout_mae"] for row in runs.to_dicts()}
    assert errors["gamma_gamma"] < min(1.01 * errors["mean"], errors["pooled_mean"])
    (cut,) = outcome.table("backtest_metrics")["cut_date"].unique().to_list()
    amount, is_known = pl.col("net_amount").cast(pl.Float64), pl.col("purchase_date") <= cut
    means = (
        shop.group_by("customer_id")
        .agg(before=amount.filter(is_known).mean(), after=amount.filter(~is_known).mean())
        .drop_nulls()
    )
    assert errors["mean"] == pytest.approx((means["before"] - means["after"]).abs().mean())
    pooled = shop.filter(is_known).select(amount.mean()).item()
    assert errors["pooled_mean"] == pytest.approx((means["after"] - pooled).abs().mean())
    (bias,) = runs.filter(pl.col("model") == "mean")["holdout_bias"].to_list()
    assert bias == pytest.approx(means["before"].sum() / means["after"].sum() - 1)


def test_trees_stand_beside_the_models_and_are_told_when_absent(
    shop: pl.DataFrame, outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = {row["model"]: row for row in outcome.table("backtest_metrics").to_dicts()}
    assert metrics["boosted_trees"]["mae"] is not None
    monkeypatch.setattr("transforms.value.trees.find_spec", lambda name: None)
    absent = run(tmp_path, shop, END)
    (row,) = absent.table("backtest_metrics").filter(pl.col("model") == "boosted_trees").to_dicts()
    assert row["fit_status"] == "not_run" and row["reason"].startswith("not_installed")
    assert absent.table("predictions").equals(outcome.table("predictions"))


def test_the_outcome_is_json_and_parquet_alone(outcome: Outcome) -> None:
    store = ValueStore(outcome.settings)
    files = {path.name for path in store.current.iterdir()}
    assert files == {"models.json", *(f"{name}.parquet" for name in SCHEMAS)}
    (chosen,) = [one for one in store.state()["models"] if one["role"] == "chosen" and one["part"] == "purchases"]
    assert chosen["parameters"].keys() == {"r", "alpha", "s", "beta"} == chosen["standard_errors"].keys()
    assert all(math.isfinite(value) for value in chosen["parameters"].values())


def test_a_run_that_dies_leaves_the_former_outcome(
    shop: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = write_warehouse(tmp_path, shop)
    ensure_empty_outcome(settings)
    store = ValueStore(settings)
    before = store.current.resolve()
    with monkeypatch.context() as patched:
        patched.setattr("transforms.value.run.fit_ladder", lambda sample: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            forecast_value(settings, END, "dying")
    assert store.current.resolve() == before
    assert [path.name for path in store.runs.iterdir()] == ["empty"]
    forecast_value(settings, END, "next")
    assert store.current.resolve().name == "next"
    forecast_value(settings, END, "next")
    assert store.current.resolve().name == "next~2" and before.exists() is False


def test_without_a_warehouse_the_way_out_is_named(tmp_path: Path) -> None:
    from transforms.settings import Settings

    with pytest.raises(FileNotFoundError, match=r"warehouse\.duckdb: no warehouse yet, run the dbt models"):
        forecast_value(Settings(home=tmp_path), END, "run")
    with pytest.raises(ValueError, match="cannot name a folder"):
        forecast_value(Settings(home=tmp_path), END, "../elsewhere")
