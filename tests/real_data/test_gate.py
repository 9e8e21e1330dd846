"""Real files through the gate: every row accounted for, every value as the oracle reads it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from transforms.settings import Settings

from .oracles import completejourney, hokuriku, snowplow, technion

pytestmark = pytest.mark.real_data


def accepted(lake: Settings, entity: str, source: str) -> pl.DataFrame:
    return pl.read_parquet(lake.lake / entity / source / "*" / "accepted.parquet")


def account(lake: Settings, entity: str, source: str) -> tuple[int, int, int, int]:
    record = pl.read_parquet(lake.lake / entity / source / "*" / "record.parquet")
    assert record["status"].to_list() == ["loaded"]
    return record.select("rows_read", "rows_accepted", "rows_quarantined", "rows_duplicate").row(0)


def utc(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC).replace(tzinfo=None)


def test_receipts(lake: Settings, real_data: Path) -> None:
    lines = completejourney.lines(real_data)
    assert account(lake, "transactions", "completejourney_transactions") == (lines.height, lines.height, 0, 0)
    money = pl.col("received"), (pl.col("received") + pl.col("card") + pl.col("match")).alias("gross")
    expected = lines.select(
        pl.col("basket_id").cast(pl.String), pl.col("product_id").cast(pl.String), "household_id", "sold_at", *money
    ).sort("basket_id", "product_id")
    rows = accepted(lake, "transactions", "completejourney_transactions").sort("order_id", "line_id")
    assert rows["order_id"].to_list() == expected["basket_id"].to_list()
    assert rows["line_id"].to_list() == expected["product_id"].to_list()
    net = (rows["gross_amount"] - rows["discount_amount"]) * 100
    assert net.cast(pl.Int64).to_list() == expected["received"].to_list()
    assert (rows["gross_amount"] * 100).cast(pl.Int64).to_list() == expected["gross"].to_list()
    assert rows["ordered_at"].to_list() == expected["sold_at"].dt.replace_time_zone(None).to_list()
    assert rows["loyalty_id"].to_list() == [f"completejourney:{h}" for h in expected["household_id"]]
    assert rows.schema["gross_amount"] == pl.Decimal(18, 2)
    assert (rows["gross_amount"] >= 0).all()


def test_receipts_as_visits(lake: Settings, real_data: Path) -> None:
    lines = completejourney.lines(real_data).height
    receipts = completejourney.receipts(real_data)
    visits = accepted(lake, "store_visits", "completejourney_visits")
    assert account(lake, "store_visits", "completejourney_visits") == (
        lines,
        len(receipts),
        0,
        lines - len(receipts),
    )
    assert {
        row["visit_id"]: (row["loyalty_id"], row["store_id"], row["entered_at"]) for row in visits.iter_rows(named=True)
    } == {
        str(basket): (
            f"completejourney:{receipt.household}",
            f"completejourney-{receipt.store}",
            utc(receipt.sold_at),
        )
        for basket, receipt in receipts.items()
    }
    assert not visits["is_ping"].any()


def test_calls(lake: Settings, real_data: Path) -> None:
    log = technion.calls(real_data)
    phantoms = {"-".join(call.key) for call in log if call.outcome == "PHANTOM"}
    assert phantoms
    assert account(lake, "hotline_calls", "technion_calls") == (
        len(log),
        len(log) - len(phantoms),
        len(phantoms),
        0,
    )
    rows = accepted(lake, "hotline_calls", "technion_calls")
    assert {
        row["call_id"]: (
            row["started_at"],
            row["outcome"],
            row["is_queued"],
            row["wait_seconds"],
            row["talk_seconds"],
            row["loyalty_id"],
        )
        for row in rows.iter_rows(named=True)
    } == {
        "-".join(call.key): (
            utc(call.started_at),
            "answered" if call.answered else "abandoned",
            call.queued,
            call.wait,
            call.talk,
            None if call.customer is None else f"technion:{call.customer}",
        )
        for call in log
        if call.outcome != "PHANTOM"
    }
    assert rows.filter(pl.col("outcome") != "answered")["agent_id"].is_null().all()


def test_refused_calls_say_why(lake: Settings) -> None:
    refused = pl.read_parquet(lake.lake / "hotline_calls" / "technion_calls" / "*" / "quarantine.parquet")
    assert refused["reasons"].str.contains("rule:real_call", literal=True).all()
    assert refused["raw"].str.contains("PHANTOM", literal=True).all()


def test_pings(lake: Settings, real_data: Path) -> None:
    heard = hokuriku.pings(real_data)
    rows = pl.scan_parquet(real_data / "hokuriku_wifi" / "raw_pings.parquet").select(pl.len()).collect().item()
    assert account(lake, "store_visits", "hokuriku_pings") == (rows, heard.height, 0, rows - heard.height)
    kept = accepted(lake, "store_visits", "hokuriku_pings").select(
        venue=pl.col("store_id").str.strip_prefix("hokuriku-").cast(pl.Int64),
        device="device_id",
        ts=pl.col("entered_at").dt.offset_by("9h"),
    )
    assert kept.sort("venue", "device", "ts").equals(heard.select("venue", "device", "ts"))


def test_events_count_once_however_often_they_were_delivered(lake: Settings, real_data: Path) -> None:
    deliveries = snowplow.deliveries(real_data).height
    events = snowplow.events(real_data)
    assert deliveries > len(events)
    assert account(lake, "app_events", "snowplow_events") == (deliveries, len(events), 0, deliveries - len(events))
    rows = accepted(lake, "app_events", "snowplow_events")
    assert {
        row["event_id"]: (
            row["event_name"],
            row["occurred_at"],
            row["device_id"],
            row["app_user_id"],
            row["session_id"],
        )
        for row in rows.iter_rows(named=True)
    } == {
        event.event_id: (event.name, utc(event.occurred_at), event.cookie, event.user, event.session)
        for event in events
    }
