"""Warehouses with the purchase days of a shop, invented or public, as dbt would leave them, and runs over them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from transforms.settings import Settings
from transforms.value import ValueReport, forecast_value
from transforms.value.store import ValueStore

PURCHASE_DAYS = {
    "customer_id": pl.String,
    "purchase_date": pl.Date,
    "net_amount": pl.Decimal(18, 2),
    "currency": pl.String,
}


@dataclass(frozen=True)
class Outcome:
    """A run with its tables."""

    settings: Settings
    report: ValueReport

    def table(self, name: str) -> pl.DataFrame:
        """A table of the current outcome."""
        return pl.read_parquet(ValueStore(self.settings).file(name))


def purchase_days(orders: pl.DataFrame) -> pl.DataFrame:
    """Orders (customer_id, purchase_date, net_amount, maybe currency), one row per customer and day."""
    orders = orders if "currency" in orders.columns else orders.with_columns(currency=pl.lit("EUR"))
    return (
        orders.with_columns(pl.col("customer_id").cast(pl.String), pl.col("net_amount").cast(pl.Decimal(18, 2)))
        .filter(pl.col("net_amount") > 0, pl.col("customer_id").is_not_null())
        .group_by("customer_id", "purchase_date")
        .agg(pl.col("net_amount").sum().cast(pl.Decimal(18, 2)), pl.col("currency").first())
        .select(*PURCHASE_DAYS)
    )


def write_warehouse(home: Path, days: pl.DataFrame, net: pl.DataFrame | None = None) -> Settings:
    """Write a warehouse that holds these purchase days. ``net`` (customer_id, net_revenue_amount) is revenue after
    returns, where it is not the sum of the days."""
    settings = Settings(home=home)
    home.mkdir(parents=True, exist_ok=True)
    days = days.select(*PURCHASE_DAYS) if days.columns else pl.DataFrame(schema=PURCHASE_DAYS)
    value = days.group_by("customer_id", "currency").agg(
        pl.col("net_amount").sum().alias("net_revenue_amount"), pl.len().alias("purchase_days")
    )
    if net is not None:
        value = value.drop("net_revenue_amount").join(net, on="customer_id")
    settings.warehouse.unlink(missing_ok=True)
    with duckdb.connect(str(settings.warehouse)) as con:
        con.execute("CREATE SCHEMA intermediate")
        con.register("days", days)
        con.register("value", value)
        con.execute("CREATE TABLE intermediate.int_customer_purchase_days AS FROM days")
        con.execute("CREATE TABLE intermediate.int_customer_value AS FROM value")
    return settings


def run(home: Path, days: pl.DataFrame, as_of: dt.date, net: pl.DataFrame | None = None, **changes: object) -> Outcome:
    """A value run over these purchase days."""
    settings = write_warehouse(home, days, net).model_copy(update=changes)
    return Outcome(settings, forecast_value(settings, as_of, "run"))


def invented(
    customers: int,
    seed: int = 1,
    days: int = 540,
    leaves: float = 60.0,
    rate_shape: float = 0.6,
    rate_scale: float = 60.0,
) -> pl.DataFrame:
    """Purchase days of a Pareto/NBD world that opened ``days`` before 2025-06-30; ``leaves`` is its beta."""
    random = np.random.default_rng(seed)
    end = dt.date(2025, 6, 30)
    acquired = random.integers(0, days // 2, customers)
    rate = random.gamma(rate_shape, 1 / rate_scale, customers)
    life = random.exponential(1, customers) / random.gamma(0.6, 1 / leaves, customers)
    amount = 20 / random.gamma(4, 1 / 3, customers)
    rows = []
    for number in range(customers):
        until = min(life[number], days - acquired[number])
        count = random.poisson(rate[number] * until)
        at = {0, *np.floor(random.uniform(0, until, count)).astype(int).tolist()}
        for day in at:
            spent = max(random.gamma(6, amount[number] / 6), 0.01)
            when = end - dt.timedelta(days=int(days - acquired[number] - day))
            rows.append((f"C{number:06d}", when, spent))
    frame = pl.DataFrame(rows, schema=["customer_id", "purchase_date", "net_amount"], orient="row")
    return purchase_days(frame.with_columns(pl.col("net_amount").round(2)))


def cdnow(folder: Path, name: str = "cdnow_master") -> tuple[pl.DataFrame, dt.date]:
    """CDNOW: all customers or the tenth of the papers."""
    rows = pl.read_parquet(folder / "cdnow" / f"{name}.parquet")
    orders = rows.select("customer_id", pl.col("date").alias("purchase_date"), pl.col("amount").alias("net_amount"))
    return purchase_days(orders), dt.date(1998, 6, 30)


def online_retail(folder: Path) -> tuple[pl.DataFrame, dt.date]:
    """Online Retail: an invoice is an order, a cancellation none."""
    rows = pl.read_parquet(folder / "online_retail" / "online_retail_uci.parquet")
    orders = rows.group_by("customer_id", "invoice_no").agg(
        pl.col("invoice_ts").min().dt.date().alias("purchase_date"),
        (pl.col("quantity") * pl.col("unit_price")).sum().round(2).alias("net_amount"),
    )
    return purchase_days(orders), dt.date(2011, 12, 9)


def complete_journey(folder: Path) -> tuple[pl.DataFrame, dt.date]:
    """The Complete Journey: a basket is an order."""
    rows = pl.read_parquet(folder / "completejourney" / "transactions.parquet")
    orders = rows.group_by(pl.col("household_id").alias("customer_id"), "basket_id").agg(
        pl.col("transaction_timestamp").min().dt.date().alias("purchase_date"),
        pl.col("sales_value").sum().round(2).alias("net_amount"),
    )
    return purchase_days(orders), dt.date(2017, 12, 31)


def histories(days: pl.DataFrame, cut: dt.date, length: int) -> pl.DataFrame:
    """Whoever has bought up to the cut, one row each, with what came of it.

    Purchase days after the first (x), age of the last (tx) and of the first (t) in days, purchase days in the
    ``length`` days after the cut (later), and what plain rules forecast for these: as many as in as many days before
    (last_period), the own rate so far (own_rate).
    """
    first = days["purchase_date"].min()
    assert isinstance(first, dt.date)
    lookback = min(length, (cut - first).days)
    day = pl.col("purchase_date")
    known = day.filter(day <= cut)
    return (
        days.group_by("customer_id")
        .agg(
            x=known.len().cast(pl.Float64) - 1,
            tx=(known.max() - known.min()).dt.total_days().cast(pl.Float64),
            t=(pl.lit(cut) - known.min()).dt.total_days().cast(pl.Float64),
            later=day.is_between(cut, cut + dt.timedelta(days=length), closed="right").sum().cast(pl.Float64),
            last_period=day.is_between(cut - dt.timedelta(days=lookback), cut, closed="right").sum()
            * length
            / lookback,
        )
        .filter(pl.col("x") >= 0)
        .with_columns(own_rate=pl.when(pl.col("t") > 0).then(pl.col("x") / pl.col("t") * length).otherwise(0.0))
        .sort("customer_id")
    )


# A day and how many days after it judge a forecast that knows the days up to it.
CUTS = {
    "cdnow": (dt.date(1997, 9, 30), 273),
    "online_retail": (dt.date(2011, 6, 10), 182),
    "complete_journey": (dt.date(2017, 9, 3), 119),
}
REAL = {"cdnow": cdnow, "online_retail": online_retail, "complete_journey": complete_journey}
