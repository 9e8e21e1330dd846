"""Figures of the marts against ones worked out by hand from the story."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from tests.dbt_project.project import Build
from tests.dbt_project.story import at

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dbt_project")]


def test_the_four_people_are_customers_and_nobody_else_is(told: Build) -> None:
    assert told.rows("SELECT customer_id FROM marts.customer_360 ORDER BY 1") == [
        ("anna",),
        ("bob",),
        ("cleo",),
        ("dora",),
    ]


def test_anna_has_every_figure_of_her_story(told: Build) -> None:
    anna = told.record("SELECT * FROM marts.customer_360 WHERE customer_id = 'anna'")
    expected = {
        "as_of_date": dt.date(2025, 6, 30),
        "first_seen_at": at("2025-03-01 10:00:00"),
        "last_seen_at": at("2025-06-29 22:50:01"),
        "acquisition_channel": "store",
        "email": "anna@example.com",
        "email_masked": "a***",
        "email_source": "crm,preferences,web",
        "email_seen_at": at("2025-06-12 08:00:00"),
        "phone": "+49151001",
        "loyalty_id": "L1",
        "loyalty_id_seen_at": at("2025-06-10 09:00:00"),
        "identifiers": 5,
        "email_count": 1,
        "device_id_count": 1,
        "payment_token_count": 0,
        # o1 (90 + 20), o2 (30), o3 (50) less r1 (20); the dollars of w1 have no rate. o4 is tomorrow's.
        "orders": 4,
        "unconverted_orders": 1,
        "purchase_days": 3,
        "net_revenue_amount": Decimal("170.00"),
        "average_order_value_amount": Decimal("63.33"),
        "currency": "EUR",
        "first_purchase_date": dt.date(2025, 3, 1),
        "last_purchase_date": dt.date(2025, 6, 1),
        "return_orders": 1,
        "returned_orders": 1,
        "return_rate": 0.25,
        "sessions": 2,
        "events": 3,
        "visits": 2,
        "dwell_seconds": 1500.0,
        "calls": 2,
        "complaints": 2,
        "mean_satisfaction_score": 3.5,
        # store: 3 orders, 1 return, 2 visits; app: 2 sessions; web: 1 order; hotline: 2 calls
        "touchpoints": 11,
        "app_touchpoints": 2,
        "web_touchpoints": 1,
        "store_touchpoints": 6,
        "hotline_touchpoints": 2,
        "other_touchpoints": 0,
        "store_share": pytest.approx(6 / 11),
        "primary_channel": "store",
        "is_multi_channel": True,
        "is_mostly_online": False,
        "recency_days": 29,
        "historic_clv_amount": Decimal("170.00"),
    }
    assert {column: anna[column] for column in expected} == expected


def test_customers_of_two_currencies_live_side_by_side(told: Build) -> None:
    assert told.rows(
        "SELECT net_revenue_amount, currency, unconverted_orders, orders FROM marts.customer_360"
        " WHERE customer_id IN ('bob', 'dora') ORDER BY customer_id"
    ) == [(Decimal("100.00"), "USD", 0, 2), (Decimal("60.00"), "EUR", 0, 1)]


def test_segments_of_those_who_did_not_buy_in_the_window(told: Build) -> None:
    assert told.rows(
        "SELECT customer_id, segment, r_score FROM marts.customer_360"
        " WHERE customer_id IN ('cleo', 'dora') ORDER BY customer_id"
    ) == [("cleo", "No Purchase", None), ("dora", "Lapsed", None)]


def test_a_month_end_is_scored_as_the_day_itself(told: Build) -> None:
    scored = "SELECT customer_id, segment FROM"
    today = f"{scored} marts.customer_rfm"
    month_end = f"{scored} intermediate.int_rfm_month_ends WHERE month_end_date = DATE '2025-06-30'"
    assert told.rows(today) and told.rows(f"({today} EXCEPT {month_end}) UNION ALL ({month_end} EXCEPT {today})") == []


def test_what_happens_after_as_of_is_not_known(told: Build) -> None:
    assert told.rows("SELECT count(*) FROM intermediate.fct_orders WHERE order_id = 'o4'") == [(0,)]
    assert told.rows("SELECT sessions FROM marts.customer_360 WHERE customer_id = 'cleo'") == [(1,)]


def test_a_session_crosses_midnight_and_ends_after_thirty_minutes(told: Build) -> None:
    assert told.rows(
        "SELECT record_id, session_date, events FROM intermediate.fct_sessions"
        " WHERE customer_id = 'anna' ORDER BY started_at"
    ) == [("app:e1", dt.date(2025, 6, 29), 2), ("app:e3", dt.date(2025, 6, 30), 1)]


def test_a_line_without_the_card_belongs_to_the_customer_of_its_receipt(told: Build) -> None:
    assert told.rows("SELECT DISTINCT customer_id FROM intermediate.fct_order_lines WHERE order_id = 'o1'") == [
        ("anna",)
    ]


def test_the_sensor_is_infrastructure_and_nobodys_touchpoint(told: Build) -> None:
    assert told.rows("SELECT device_id, stores FROM intermediate.int_infrastructure_devices") == [("sensor", 40)]
    assert told.rows("SELECT count(*) FROM intermediate.int_identity_observations WHERE source = 'wifi'") == [(1,)]
    assert told.rows(
        "SELECT is_infrastructure, count(*), count(customer_id) FROM intermediate.fct_store_visits"
        " GROUP BY ALL ORDER BY 1"
    ) == [(False, 2, 2), (True, 40, 0)]
    assert told.rows("SELECT count(*) FROM marts.customer_timeline WHERE touchpoint_type = 'store_visit'") == [(2,)]


def test_the_hotline_names_its_denominators(told: Build) -> None:
    hotline = told.record("SELECT * FROM marts.channel_summary WHERE channel = 'hotline'")
    expected = {
        "touchpoints": 5,
        "customers": 1,
        "anonymous_touchpoints": 3,
        "orders": 0,
        "net_revenue_amount": Decimal("0.00"),
        "currency": None,
        "calls": 5,
        "offered_calls": 4,
        "answered_calls": 2,
        "abandoned_calls": 2,
        "short_abandons": 1,
        "abandon_rate_queued": 0.5,
        "abandon_rate_offered_excl_short": pytest.approx(1 / 3),
        "asa_seconds": 30.0,
        "asa_waited_seconds": 30.0,
        "service_level_rate": pytest.approx(1 / 3),
        "is_service_level_met": False,
        "aht_seconds": 180.0,
        "excluded_handles": 0,
        # Both are older than a week; the second followed the first on the same matter within a day.
        "fcr_known_calls": 2,
        "fcr_rate": 0.5,
        "repeat_contacts": 1,
        "repeat_contact_rate": 0.5,
        "complaints": 2,
        "mean_satisfaction_score": 3.5,
    }
    assert {column: hotline[column] for column in expected} == expected


def test_each_channel_reports_in_one_currency(told: Build) -> None:
    assert told.rows(
        "SELECT channel, touchpoints, customers, anonymous_touchpoints, orders, net_revenue_amount, currency,"
        " unconverted_orders, returned_orders, sessions, visits FROM marts.channel_summary"
        " WHERE channel <> 'hotline' ORDER BY channel"
    ) == [
        ("app", 2, 1, 0, 0, Decimal("0.00"), None, 0, 0, 2, 0),
        # Five orders and a return of which one order is nobody's, and two visits.
        ("store", 8, 2, 1, 5, Decimal("237.00"), "EUR", 0, 1, 0, 2),
        ("web", 5, 3, 1, 3, Decimal("140.00"), "USD", 0, 0, 2, 0),
    ]


def test_the_timeline_tells_annas_story_in_order(told: Build) -> None:
    assert told.rows(
        "SELECT channel, touchpoint_type, record_id, amount FROM marts.customer_timeline"
        " WHERE customer_id = 'anna' ORDER BY occurred_at, record_id"
    ) == [
        ("store", "order", "pos:o1", Decimal("110.00")),
        ("store", "order", "pos:o2", Decimal("30.00")),
        ("web", "order", "web:w1", None),
        ("store", "order", "pos:o3", Decimal("50.00")),
        ("store", "store_visit", "wifi:p1", None),
        ("store", "store_visit", "wifi:p4", None),
        ("store", "return", "pos:r1", Decimal("-20.00")),
        ("hotline", "call", "calls:c1", None),
        ("hotline", "call", "calls:c2", None),
        ("app", "session", "app:e1", None),
        ("app", "session", "app:e3", None),
    ]


def test_the_account_of_the_till_file_balances(told: Build) -> None:
    assert told.rows(
        "SELECT rows_read, rows_accepted, rows_quarantined, rows_duplicate, quarantine_rate, status"
        " FROM marts.load_audit WHERE source = 'pos'"
    ) == [(10, 8, 2, 0, 0.2, "loaded")]
