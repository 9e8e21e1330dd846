"""Households, receipts, revenue and RFM of The Complete Journey, receipt by receipt, in whole cents."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

PERCENTILES = (20, 40, 60, 80)
# Rows: R from 1 to 5; columns: FM from 1 to 5.
SEGMENTS = (
    ("Lost", "Hibernating", "At Risk", "At Risk", "Can't Lose Them"),
    ("Hibernating", "Hibernating", "At Risk", "At Risk", "Can't Lose Them"),
    ("About To Sleep", "About To Sleep", "Need Attention", "Loyal Customers", "Loyal Customers"),
    ("Promising", "Potential Loyalists", "Potential Loyalists", "Loyal Customers", "Loyal Customers"),
    ("New Customers", "Potential Loyalists", "Potential Loyalists", "Champions", "Champions"),
)


@dataclass(frozen=True)
class Receipt:
    """One basket of one household: what the retailer received, and what the shelf prices came to."""

    household: int
    store: int
    sold_at: dt.datetime
    lines: int
    net_cents: int
    gross_cents: int


@dataclass(frozen=True)
class Rfm:
    """Recency in days, frequency in purchase days, monetary in cents, and their scores from 1 to 5."""

    recency_days: int
    purchase_days: int
    net_cents: int
    r_score: int
    f_score: int
    m_score: int

    @property
    def segment(self) -> str:
        """Cell of the grid: R against the mean of F and M, half rounded up."""
        return SEGMENTS[self.r_score - 1][(self.f_score + self.m_score + 1) // 2 - 1]


def lines(folder: Path) -> pl.DataFrame:
    """Lines as published; money in whole cents, ``sold_at`` in UTC."""

    def cents(name: str) -> pl.Expr:
        return (pl.col(name) * 100).round().cast(pl.Int64)

    return pl.read_parquet(folder / "completejourney" / "transactions.parquet").select(
        "household_id",
        "store_id",
        "basket_id",
        "product_id",
        "quantity",
        "week",
        pl.col("transaction_timestamp").dt.replace_time_zone("UTC").alias("sold_at"),
        cents("sales_value").alias("received"),
        cents("retail_disc").alias("card"),
        cents("coupon_disc").alias("coupon"),
        cents("coupon_match_disc").alias("match"),
    )


def receipts(folder: Path) -> dict[int, Receipt]:
    """Receipts by basket number."""
    baskets = (
        lines(folder)
        .group_by("basket_id")
        .agg(
            pl.col("household_id", "store_id", "sold_at").first(),
            pl.len().alias("lines"),
            pl.col("received").sum(),
            (pl.col("received") + pl.col("card") + pl.col("match")).sum().alias("gross"),
        )
    )
    return {
        row["basket_id"]: Receipt(
            row["household_id"], row["store_id"], row["sold_at"], row["lines"], row["received"], row["gross"]
        )
        for row in baskets.iter_rows(named=True)
    }


def purchase_days(all_receipts: Iterable[Receipt], zone: str) -> dict[int, set[dt.date]]:
    """Days on which each household bought something for more than nothing, in the time zone given."""
    days: dict[int, set[dt.date]] = defaultdict(set)
    for receipt in all_receipts:
        if receipt.net_cents > 0:
            days[receipt.household].add(receipt.sold_at.astimezone(ZoneInfo(zone)).date())
    return dict(days)


def rfm(all_receipts: Iterable[Receipt], zone: str, as_of: dt.date, window_days: int = 365) -> dict[int, Rfm]:
    """RFM of every household with a purchase day in the window that ends with ``as_of``.

    Scores follow Watershed's definition: cut points are values that occur (inverse of the empirical
    distribution), and equal values share a score.
    """
    known = list(all_receipts)
    days = {
        household: {day for day in bought if 0 <= (as_of - day).days < window_days}
        for household, bought in purchase_days(known, zone).items()
    }
    spent: dict[int, int] = defaultdict(int)
    for receipt in known:
        if 0 <= (as_of - receipt.sold_at.astimezone(ZoneInfo(zone)).date()).days < window_days:
            spent[receipt.household] += receipt.net_cents
    buyers = [household for household, bought in days.items() if bought]
    recency = {household: (as_of - max(days[household])).days for household in buyers}
    frequency = {household: len(days[household]) for household in buyers}
    monetary = {household: spent[household] for household in buyers}
    r_cuts, f_cuts, m_cuts = (cut_points(values) for values in (recency, frequency, monetary))
    return {
        household: Rfm(
            recency[household],
            frequency[household],
            monetary[household],
            1 + sum(cut > recency[household] for cut in r_cuts),
            1 + sum(cut < frequency[household] for cut in f_cuts),
            1 + sum(cut < monetary[household] for cut in m_cuts),
        )
        for household in buyers
    }


def cut_points(values: Mapping[int, int]) -> list[int]:
    """The smallest value that at least 20, 40, 60 and 80 percent of the households do not exceed."""
    ordered = sorted(values.values())
    return [ordered[-(-len(ordered) * percent // 100) - 1] for percent in PERCENTILES]
