"""Contacts of the bank's campaign and redeemed coupons through the gate."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from .comparing import as_counted
from .conftest import Gated

pytestmark = pytest.mark.real_data

Raw = Callable[[str], pl.DataFrame]
Gate = Callable[[str], Gated]

BANK = "uci_bank_marketing/bank_additional_full.parquet"
REDEMPTIONS = "completejourney/coupon_redemptions.parquet"
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PORTUGAL = ZoneInfo("Europe/Lisbon")
NEW_YORK = ZoneInfo("America/New_York")


def years_by_order(months: list[str]) -> list[int]:
    """Year of each row of a file that is sorted by date and begins in 2008: a month that steps back is a new year."""
    years, year = [], 2008
    for before, month in pairwise([months[0], *months]):
        year += MONTHS.index(month) < MONTHS.index(before)
        years.append(year)
    return years


def first_weekday(year: int, month: str, weekday: str) -> dt.datetime:
    """The first such weekday of a month at midnight in Portugal, as UTC without zone."""
    day = dt.datetime(year, MONTHS.index(month) + 1, 1, tzinfo=PORTUGAL)
    while day.weekday() != WEEKDAYS.index(weekday):
        day += dt.timedelta(days=1)
    return day.astimezone(dt.UTC).replace(tzinfo=None)


def kind(row: dict[str, str]) -> str:
    if row["y"] == "yes":
        return "responded"
    return "sent" if int(row["duration"]) == 0 else "delivered"


def test_contacts_are_dated_by_the_price_index_as_by_their_order(raw: Raw, gated: Gate) -> None:
    published = raw(BANK)
    years = years_by_order(published["month"].to_list())
    expected = Counter(
        {
            # Rows that agree in everything are one contact.
            (tuple(row.values()), kind(row), first_weekday(year, row["month"], row["day_of_week"])): 1
            for row, year in zip(published.iter_rows(named=True), years, strict=True)
        }
    )
    bank = gated("uci_bank_contacts")
    assert bank.account == (published.height, len(expected), 0, published.height - len(expected))
    loaded = bank.accepted.select("event_type", "occurred_at", "contact_number", "response", "duration_seconds")
    names = published.columns
    assert Counter(loaded.iter_rows()) == Counter(
        (
            event,
            moment,
            int(values[names.index("campaign")]),
            values[names.index("y")],
            float(values[names.index("duration")]),
        )
        for values, event, moment in expected
    )


def test_months_and_years_of_the_campaign(raw: Raw, gated: Gate) -> None:
    published = raw(BANK)
    as_counted(published, 41_188)
    bank = gated("uci_bank_contacts")
    local = bank.accepted["occurred_at"].dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Lisbon")
    by_year = local.dt.year().value_counts().sort("occurred_at")["count"].to_list()
    # Row 27,690 is the last of December 2008, row 39,130 that of December 2009; 8 repeats are before, 4 between.
    assert by_year == [27_690 - 8, 39_130 - 27_690 - 4, 41_188 - 39_130]
    # Contacts begin in May 2008 and end in November 2010; there is none in 5 of the 31 months.
    months = local.dt.strftime("%Y-%m").unique()
    assert (months.min(), months.max(), months.len()) == ("2008-05", "2010-11", 26)


def test_known_quirks_of_the_bank_counted_by_hand(raw: Raw, gated: Gate) -> None:
    published = raw(BANK)
    as_counted(published, 41_188)
    bank = gated("uci_bank_contacts")
    assert bank.account == (41_188, 41_176, 0, 12)
    # 4,640 rows say yes, one of them twice; 4 calls of 0 seconds.
    assert dict(bank.accepted["event_type"].value_counts().iter_rows()) == {
        "responded": 4_639,
        "delivered": 36_533,
        "sent": 4,
    }
    assert bank.accepted["contact_number"].max() == 56
    # pdays 999 means never contacted, and 4,110 of these rows count earlier contacts: neither is loaded.
    contradicting = published.filter((pl.col("pdays") == "999") & (pl.col("previous") != "0"))
    assert contradicting.height == 4_110
    assert not {"pdays", "previous"} & set(bank.accepted.columns)


def test_redemptions_of_the_households(raw: Raw, gated: Gate) -> None:
    published = raw(REDEMPTIONS)
    coupons = gated("completejourney_redemptions")
    assert coupons.account == (published.height, published.height, 0, 0)
    assert Counter(
        coupons.accepted.select("loyalty_id", "campaign_id", "offer_id", "occurred_at").iter_rows()
    ) == Counter(
        (
            f"completejourney:{household}",
            f"completejourney-{campaign}",
            str(coupon),
            day.replace(tzinfo=NEW_YORK).astimezone(dt.UTC).replace(tzinfo=None),
        )
        for household, coupon, campaign, day in published.iter_rows()
    )
    assert set(coupons.accepted["event_type"]) == {"redeemed"}
    contacts = published.select("household_id", "campaign_id").n_unique()
    assert coupons.accepted["message_id"].n_unique() == contacts


def test_every_redemption_lies_in_its_campaign_and_its_household_was_contacted(raw: Raw, gated: Gate) -> None:
    redeemed = gated("completejourney_redemptions").accepted
    described = raw("completejourney/campaign_descriptions.parquet")
    contacted = raw("completejourney/campaigns.parquet")
    known = {
        (f"completejourney-{campaign}", f"completejourney:{household}") for campaign, household in contacted.iter_rows()
    }
    assert set(redeemed.select("campaign_id", "loyalty_id").iter_rows()) <= known
    days = {f"completejourney-{row['campaign_id']}": row for row in described.iter_rows(named=True)}
    for campaign, moment in redeemed.select("campaign_id", "occurred_at").iter_rows():
        day = moment.replace(tzinfo=dt.UTC).astimezone(NEW_YORK).replace(tzinfo=None)
        assert days[campaign]["start_date"] <= day <= days[campaign]["end_date"]


def test_known_quirks_of_the_coupons_counted_by_hand(raw: Raw, gated: Gate) -> None:
    published = raw(REDEMPTIONS)
    as_counted(published, 954)
    coupons = gated("completejourney_redemptions").accepted
    # Nine coupons were redeemed a second time on another day: without the day in the key they would be conflicts.
    assert coupons.height - coupons.select("message_id", "offer_id").n_unique() == 9
