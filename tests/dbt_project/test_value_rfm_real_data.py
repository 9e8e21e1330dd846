"""RFM on public purchase data, against scores computed by sorting in NumPy."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.dbt_project.compiled_models import compiled_models, empty_warehouse, put_table, run_models
from transforms.value import SCHEMAS

pytestmark = [pytest.mark.real_data, pytest.mark.xdist_group("compiled_models")]

MODELS = (
    "intermediate.int_customer_value",
    "marts.rfm_cut_points",
    "marts.customer_rfm",
    "marts.customer_clv",
    "marts.segment_summary",
)
# The tables of a first run: there is no previous build.
NOTHING_BEFORE = pl.DataFrame(
    schema={
        "previous_as_of_date": pl.Date,
        "segment": pl.String,
        "currency": pl.String,
        "window_net_revenue_amount": pl.Decimal(18, 2),
    }
)
# Rows: R 1–5; columns: FM 1–5. Typed from the definition, not read from the seed.
GRID = [
    ["Lost", "Hibernating", "At Risk", "At Risk", "Can't Lose Them"],
    ["Hibernating", "Hibernating", "At Risk", "At Risk", "Can't Lose Them"],
    ["About To Sleep", "About To Sleep", "Need Attention", "Loyal Customers", "Loyal Customers"],
    ["Promising", "Potential Loyalists", "Potential Loyalists", "Loyal Customers", "Loyal Customers"],
    ["New Customers", "Potential Loyalists", "Potential Loyalists", "Champions", "Champions"],
]


@dataclass(frozen=True)
class Shop:
    """One row per order (customer_id, order_date, cents), and the last day that counts."""

    orders: pl.DataFrame
    as_of: dt.date


def cdnow(folder: Path) -> Shop:
    """CDNOW: every transaction is an order; 80 of them cost nothing."""
    rows = pl.read_parquet(folder / "cdnow" / "cdnow_master.parquet")
    orders = rows.select(
        pl.col("customer_id").cast(pl.String),
        pl.col("date").alias("order_date"),
        (pl.col("amount") * 100).round().cast(pl.Int64).alias("cents"),
    )
    return Shop(orders, dt.date(1998, 6, 30))


def online_retail(folder: Path) -> Shop:
    """Online Retail: an invoice is an order, a cancellation a return; a quarter of the lines has no customer."""
    rows = pl.read_parquet(folder / "online_retail" / "online_retail_uci.parquet")
    orders = (
        rows.with_columns(
            pl.col("customer_id").cast(pl.String),
            (pl.col("quantity") * pl.col("unit_price") * 100).round().cast(pl.Int64).alias("cents"),
        )
        .group_by("customer_id", "invoice_no", maintain_order=True)
        .agg(pl.col("invoice_ts").min().dt.date().alias("order_date"), pl.col("cents").sum())
        .drop("invoice_no")
    )
    return Shop(orders, dt.date(2011, 12, 9))


def modelled(shop: Shop) -> dict[str, pl.DataFrame]:
    """Tables by name, as the models make them of the orders."""
    amount = (pl.col("cents").cast(pl.Decimal(18, 2)) / 100).cast(pl.Decimal(18, 2))
    orders = shop.orders.with_columns(amount.alias("net_amount"), currency=pl.lit("GBP"))
    purchases = orders.filter(pl.col("cents") > 0, pl.col("customer_id").is_not_null())
    timeline = orders.filter(pl.col("customer_id").is_not_null())
    with empty_warehouse() as con:
        put_table(con, "intermediate.fct_orders", orders)
        put_table(
            con,
            "intermediate.int_customer_purchase_days",
            purchases.select("customer_id", pl.col("order_date").alias("purchase_date")).unique(),
        )
        put_table(con, "marts.customer_timeline", timeline.select("customer_id"))
        put_table(con, "intermediate.int_segments_before", NOTHING_BEFORE)
        put_table(
            con,
            "intermediate.int_customer_orders",
            purchases.group_by("customer_id").agg(
                pl.col("order_date").min().alias("first_purchase_date"),
                pl.col("order_date").max().alias("last_purchase_date"),
                pl.lit(None, dtype=pl.Decimal(18, 2)).alias("average_order_value_amount"),
            ),
        )
        predictions = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in SCHEMAS["predictions"].items())
        con.execute(f"CREATE TABLE intermediate.int_customer_predictions AS SELECT {predictions} LIMIT 0")
        con.execute(
            "CREATE TABLE intermediate.int_customer_margins"
            " (customer_id VARCHAR, currency VARCHAR, known_amount DECIMAL(18, 2), margin_rate DOUBLE,"
            " margin_source VARCHAR)"
        )
        run_models(con, compiled_models(shop.as_of), *MODELS)
        return {name: con.table(name).pl() for name in MODELS}


def cut_points(values: np.ndarray) -> list[int]:
    """Inverse empirical distribution by sorting: the ⌈k·n/5⌉-th smallest of n values, k = 1…4."""
    ascending = np.sort(values)
    return [int(ascending[-(-cut * len(values) // 5) - 1]) for cut in range(1, 5)]


def expected_scores(shop: Shop) -> pl.DataFrame:
    """Scores and segments of the customers who bought in the window, amounts in cents."""
    window = shop.orders.filter(
        pl.col("customer_id").is_not_null(), pl.col("order_date") > shop.as_of - dt.timedelta(days=365)
    )
    bought = window.filter(pl.col("cents") > 0).group_by("customer_id")
    values = (
        bought.agg(
            (shop.as_of - pl.col("order_date").max()).dt.total_days().alias("recency"),
            pl.col("order_date").n_unique().alias("frequency"),
        )
        .join(window.group_by("customer_id").agg(pl.col("cents").sum().alias("monetary")), on="customer_id")
        .sort("customer_id")
    )
    recency, frequency, monetary = (values[name].to_numpy() for name in ("recency", "frequency", "monetary"))
    r_score = 5 - np.searchsorted(cut_points(recency), recency, side="right")
    f_score = 1 + np.searchsorted(cut_points(frequency), frequency, side="left")
    m_score = 1 + np.searchsorted(cut_points(monetary), monetary, side="left")
    fm_score = np.floor((f_score + m_score) / 2 + 0.5).astype(int)
    segments = [GRID[r - 1][fm - 1] for r, fm in zip(r_score, fm_score, strict=True)]
    return values.with_columns(
        r_score=r_score, f_score=f_score, m_score=m_score, fm_score=fm_score, segment=pl.Series(segments)
    )


@pytest.fixture(scope="module", params=[cdnow, online_retail], ids=["cdnow", "online_retail"])
def shop(request, real_data) -> Shop:
    return request.param(real_data)


@pytest.fixture(scope="module")
def tables(shop: Shop) -> dict[str, pl.DataFrame]:
    return modelled(shop)


def test_scores_and_segments_agree_with_sorting(shop, tables):
    scored = (
        tables["marts.customer_rfm"]
        .filter(pl.col("segment") != "Lapsed")
        .sort("customer_id")
        .select(
            "customer_id",
            pl.col("recency_days").alias("recency"),
            pl.col("purchase_days").alias("frequency"),
            (pl.col("net_revenue_amount") * 100).cast(pl.Int64).alias("monetary"),
            *("r_score", "f_score", "m_score", "fm_score", "segment"),
        )
    )
    expected = expected_scores(shop)
    assert scored.to_dicts() == expected.to_dicts()


def test_cut_points_are_values_that_occur(tables):
    scored = tables["marts.customer_rfm"].filter(pl.col("segment") != "Lapsed")
    occurring = {
        "recency": set(scored["recency_days"]),
        "frequency": set(scored["purchase_days"]),
        "monetary": set(scored["net_revenue_amount"]),
    }
    cuts = tables["marts.rfm_cut_points"]
    assert cuts.height == 12
    assert all(row["value"] in occurring[row["measure"]] for row in cuts.to_dicts())


def test_equal_values_share_a_score_in_any_order_of_rows(shop, tables):
    shuffled = modelled(Shop(shop.orders.sample(fraction=1, shuffle=True, seed=3), shop.as_of))
    scores = tables["marts.customer_rfm"].sort("customer_id")
    assert shuffled["marts.customer_rfm"].sort("customer_id").equals(scores)
    for value, score in (("recency_days", "r_score"), ("purchase_days", "f_score"), ("net_revenue_amount", "m_score")):
        per_value = scores.drop_nulls(score).group_by(value).agg(pl.col(score).n_unique())
        assert per_value[score].max() == 1


def test_lapsed_bought_before_the_window_and_have_no_score(shop, tables):
    window_start = shop.as_of - dt.timedelta(days=365)
    last_purchase = (
        shop.orders.filter(pl.col("cents") > 0, pl.col("customer_id").is_not_null())
        .group_by("customer_id")
        .agg(pl.col("order_date").max())
    )
    expected = set(last_purchase.filter(pl.col("order_date") <= window_start)["customer_id"])
    rfm = tables["marts.customer_rfm"]
    lapsed = rfm.filter(pl.col("segment") == "Lapsed")
    assert rfm.height == last_purchase.height
    assert set(lapsed["customer_id"]) == expected
    assert lapsed.select("r_score", "f_score", "m_score", "fm_score").null_count().row(0) == (lapsed.height,) * 4


def test_summary_accounts_for_every_customer_and_every_cent(shop, tables):
    known = shop.orders.filter(pl.col("customer_id").is_not_null())
    in_window = known.filter(pl.col("order_date") > shop.as_of - dt.timedelta(days=365))
    summary = tables["marts.segment_summary"]
    assert summary["customers"].sum() == known["customer_id"].n_unique()
    assert int(summary["net_revenue_amount"].sum() * 100) == in_window["cents"].sum()
    assert summary["customer_share"].sum() == pytest.approx(1)
    buyers = known.filter(pl.col("cents") > 0)["customer_id"].unique()
    historic = tables["marts.customer_clv"]["historic_clv_amount"].sum()
    assert int(historic * 100) == known.filter(pl.col("customer_id").is_in(buyers.implode()))["cents"].sum()
