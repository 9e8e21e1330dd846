"""Calls with marks, events of a web shop and the grocery catalogue through the gate."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Callable
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from .comparing import as_counted
from .conftest import Gated

pytestmark = pytest.mark.real_data

Raw = Callable[[str], pl.DataFrame]
Gate = Callable[[str], Gated]

CALLS = "pwc_callcentre/calls.parquet"
EVENTS = "retentioneering_ecom/events.parquet"
PRODUCTS = "completejourney/products.parquet"
SWITZERLAND = ZoneInfo("Europe/Zurich")


def pseudonym(name: str) -> str:
    return f"agent-{hashlib.md5(f'pwc:{name}'.encode(), usedforsecurity=False).hexdigest()[:12]}"


def seconds(text: str | None) -> float | None:
    if text is None:
        return None
    hours, minutes, rest = (int(part) for part in text.split(":"))
    return float(3600 * hours + 60 * minutes + rest)


def test_every_call(raw: Raw, gated: Gate) -> None:
    published = raw(CALLS)
    calls = gated("pwc_calls")
    assert calls.account == (published.height, published.height, 0, 0)
    expected = {}
    for row in published.iter_rows(named=True):
        answered = row["Answered (Y/N)"] == "Y"
        local = dt.datetime.fromisoformat(f"{row['Date']}T{row['Time']}").replace(tzinfo=SWITZERLAND)
        expected[row["Call Id"]] = (
            local.astimezone(dt.UTC).replace(tzinfo=None),
            "answered" if answered else "abandoned",
            float(row["Speed of answer in seconds"]) if answered else None,
            seconds(row["AvgTalkDuration"]),
            pseudonym(row["Agent"]) if answered else None,
            row["Topic"].lower(),
            row["Resolved"] == "Y" if answered else None,
            int(row["Satisfaction rating"]) if answered else None,
        )
    loaded = calls.accepted.select(
        "call_id",
        "started_at",
        "outcome",
        "wait_seconds",
        "talk_seconds",
        "agent_id",
        "reason",
        "is_resolved",
        "satisfaction_score",
    )
    assert {row[0]: row[1:] for row in loaded.iter_rows()} == expected


def test_known_quirks_of_the_calls_counted_by_hand(raw: Raw, gated: Gate) -> None:
    as_counted(raw(CALLS), 5_000)
    calls = gated("pwc_calls").accepted
    # 946 calls were not answered: no wait, no talk, no mark, and an N for Resolved that says nothing.
    unanswered = calls.filter(pl.col("outcome") == "abandoned")
    assert unanswered.height == 946
    nothing = unanswered.select("wait_seconds", "talk_seconds", "satisfaction_score", "is_resolved", "agent_id")
    assert nothing.null_count().row(0) == (946,) * 5
    # 3,646 of 4,054 answered calls were resolved: 90 percent, not 73 of all.
    assert (calls["is_resolved"].sum(), calls["is_resolved"].count()) == (3_646, 4_054)
    # Eight agents.
    assert calls["agent_id"].drop_nulls().n_unique() == 8


def test_every_event_of_the_shop(raw: Raw, gated: Gate) -> None:
    published = raw(EVENTS)
    distinct = set(published.iter_rows())
    events = gated("retentioneering_events")
    assert events.account == (published.height, len(distinct), 0, published.height - len(distinct))
    assert Counter(
        events.accepted.select(
            "app_user_id", "session_id", "event_name", "occurred_at", "platform", "campaign"
        ).iter_rows()
    ) == Counter(
        (
            f"retentioneering:{user}",
            session,
            "checkout" if event == "shipping_details" else event,
            dt.datetime.fromisoformat(moment),
            platform,
            came_by,
        )
        for user, session, event, moment, platform, came_by, _, _ in distinct
    )
    assert set(events.accepted["channel"]) == {"web"}


def test_known_quirks_of_the_shop_counted_by_hand(raw: Raw, gated: Gate) -> None:
    as_counted(raw(EVENTS), 31_106)
    events = gated("retentioneering_events")
    # 30 rows repeat another one to the letter.
    assert events.account == (31_106, 31_076, 0, 30)
    assert events.accepted["app_user_id"].n_unique() == 600
    assert events.accepted["session_id"].n_unique() == 3_605


def test_every_article_of_the_catalogue(raw: Raw, gated: Gate) -> None:
    published = raw(PRODUCTS)
    catalogue = gated("completejourney_products")
    assert catalogue.account == (published.height, published.height, 0, 0)
    columns = ("department", "product_category", "product_type")
    assert {
        row[0]: row[1:]
        for row in catalogue.accepted.select(
            "product_id", "product_category", "category_path", "brand", "manufacturer", "package_size"
        ).iter_rows()
    } == {
        str(row["product_id"]): (
            row["product_category"],
            " > ".join(row[name] for name in columns if row[name] is not None),
            row["brand"],
            str(row["manufacturer_id"]),
            row["package_size"],
        )
        for row in published.iter_rows(named=True)
    }


def test_known_quirks_of_the_catalogue_counted_by_hand(raw: Raw, gated: Gate) -> None:
    as_counted(raw(PRODUCTS), 92_331)
    articles = gated("completejourney_products").accepted
    # Articles without category are MISCELLANEOUS, COUPON and the like; a third have no package size.
    assert (articles["product_category"].null_count(), articles["package_size"].null_count()) == (540, 30_586)
    # 14 of the 53,358 articles that were sold are not in the catalogue.
    sold = set(raw("completejourney/transactions.parquet")["product_id"].cast(pl.String))
    assert (len(sold), len(sold - set(articles["product_id"]))) == (53_358, 14)
