"""What the contracts say of the datasets holds in the raw files, and the oracles agree with the publishers."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from .oracles import completejourney, hokuriku, snowplow, technion

pytestmark = pytest.mark.real_data


def test_receipts_are_in_utc_and_weeks_turn_at_midnight_in_new_york(real_data: Path) -> None:
    lines = completejourney.lines(real_data)
    starts = lines.group_by("week").agg(pl.col("sold_at").min().alias("first"), pl.col("sold_at").max().alias("last"))
    weeks = starts.sort("week").to_dicts()
    new_york = ZoneInfo("America/New_York")
    for before, after in pairwise(weeks):
        monday = after["first"].astimezone(new_york)
        midnight = monday.replace(hour=0, minute=0, second=0).astimezone(ZoneInfo("UTC"))
        if monday.weekday() == 0:
            assert before["last"].astimezone(ZoneInfo("UTC")) < midnight <= after["first"].astimezone(ZoneInfo("UTC"))
    spread = [week["last"].astimezone(new_york) - week["first"].astimezone(new_york) for week in weeks]
    assert max(spread).days == 6


def test_shelf_price_is_what_the_retailer_receives_plus_its_own_discounts(real_data: Path) -> None:
    lines = completejourney.lines(real_data).filter(pl.col("quantity") > 0)
    place = ["store_id", "product_id", "week"]

    def unit_price(*parts: str) -> pl.Expr:
        return (pl.sum_horizontal(parts) / pl.col("quantity")).round().alias("price")

    plain = (
        lines.filter((pl.col("coupon") == 0) & (pl.col("match") == 0))
        .with_columns(unit_price("received", "card"))
        .group_by(place)
        .agg(pl.col("price").n_unique().alias("prices"), pl.col("price").first().alias("shelf_price"))
        .filter(pl.col("prices") == 1)
    )
    with_coupon = lines.filter(pl.col("coupon") > 0).join(plain, on=place)

    def agreement(*parts: str) -> float:
        near = with_coupon.select(((unit_price(*parts) - pl.col("shelf_price")).abs() <= 1).mean())
        return float(near.item())

    assert with_coupon.height > 100
    assert agreement("received", "card", "match") > 0.99
    assert agreement("received", "card", "match", "coupon") < 0.01


def test_a_product_occurs_once_on_a_receipt_and_a_receipt_has_one_household_store_and_time(real_data: Path) -> None:
    lines = completejourney.lines(real_data)
    assert not lines.select(pl.struct("basket_id", "product_id").is_duplicated().any()).item()
    spread = lines.group_by("basket_id").agg(pl.col("household_id", "store_id", "sold_at").n_unique())
    assert spread.select(pl.max_horizontal(pl.exclude("basket_id").max())).item() == 1


def test_the_date_of_a_call_belongs_to_its_entry(real_data: Path) -> None:
    by_line = defaultdict(list)
    for call in technion.calls(real_data):
        line, number, _ = call.key
        by_line[line].append((call.started_at, int(number)))
    for history in by_line.values():
        # A large step back is a counter that was set back; small ones would be calls on a wrong day.
        numbers = [number for _, number in sorted(history)]
        backwards = [before for before, after in pairwise(numbers) if 0 < before - after < 1000]
        assert not backwards


def test_calls_are_unique_by_line_number_and_date(real_data: Path) -> None:
    calls = technion.calls(real_data)
    assert len({call.key for call in calls}) == len(calls)


def test_the_publishers_rule_gives_the_publishers_visits_at_every_complete_venue(real_data: Path) -> None:
    complete = hokuriku.complete_venues(real_data)
    assert complete
    published = {visit for visit in hokuriku.published_visits(real_data) if visit.venue in complete}
    cut = {visit for visit in hokuriku.cut_by_publisher(real_data) if visit.venue in complete}
    assert cut == published


def test_page_views_of_the_vendor_are_among_the_events(real_data: Path) -> None:
    views = {event.event_id for event in snowplow.events(real_data) if event.name == "page_view"}
    expected = set(snowplow.vendor(real_data, "page_views")["event_id"])
    assert expected <= views


def test_events_per_session_agree_with_the_vendor_where_it_keeps_all_events(real_data: Path) -> None:
    events = snowplow.events(real_data)
    plain = snowplow.cookies_with_plain_sessions(events)
    sizes: dict[str | None, int] = defaultdict(int)
    for event in events:
        sizes[event.session] += 1
    expected = snowplow.vendor(real_data, "sessions").filter(pl.col("original_domain_userid").is_in(plain))
    for session, total in expected.select("original_domain_sessionid", "total_events").iter_rows():
        assert sizes[session] == int(total), session


def test_sessions_agree_with_the_vendor_where_the_tracker_keeps_to_thirty_minutes(real_data: Path) -> None:
    events = snowplow.events(real_data)
    ours = snowplow.sessions({event.event_id: event.cookie for event in events if event.cookie}, events)
    plain = snowplow.cookies_with_plain_sessions(events)
    compared = {c: n for c, n in snowplow.vendor_sessions_by_cookie(real_data).items() if c in plain}
    assert len(compared) >= 5
    assert {cookie: len(ours[cookie]) for cookie in compared} == compared
