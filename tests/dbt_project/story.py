"""A handful of people whose every figure can be worked out by hand.

Business days are Berlin's; the last day that counts is 2025-06-30. All times below are UTC, so 22:00 and
later in summer belong to the next day.

- Anna buys at the till and once in dollars on the web, brings one article back, uses the app and visits a store.
- Bob pays in dollars only. Cleo has looked at an article and never bought. Dora bought once, two years ago.
- A nameless browser, a nameless receipt, two nameless callers and a sensor in forty stores are nobody.
- Around Anna's and Bob's purchases stand a profile, a consent, an answer, a message, a case, a return and a review.
- Erik has a profile in the CRM and has never been seen anywhere: he is in no mart.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.dbt_project.lake import Row, write_batch, write_empty_lake

AS_OF = dt.date(2025, 6, 30)
BUSINESS_TIMEZONE = "Europe/Berlin"

# Who the raw identifiers belong to, as an identity run would find out.
OWNERS = {
    "L1": "anna",
    "anna@example.com": "anna",
    "d-anna": "anna",
    "u-anna": "anna",
    "+49151001": "anna",
    "bob@example.com": "bob",
    "u-cleo": "cleo",
    "L4": "dora",
    "erik@example.com": "erik",
}


def at(text: str) -> dt.datetime:
    """Moment in UTC, without a zone as the lake holds it."""
    return dt.datetime.fromisoformat(text)


def _line(order: str, line: str, moment: str, gross: str, **more: object) -> Row:
    row: dict[str, object] = {
        "order_id": order,
        "line_id": line,
        "ordered_at": at(moment),
        "channel": "store",
        "line_type": "sale",
        "quantity": 1,
        "gross_amount": gross,
        "currency": "EUR",
    }
    return row | more


def _event(event: str, moment: str, name: str, **more: object) -> Row:
    return {"event_id": event, "occurred_at": at(moment), "event_name": name, "channel": "app"} | more


def _ping(visit: str, moment: str, store: str, device: str) -> Row:
    return {"visit_id": visit, "store_id": store, "entered_at": at(moment), "is_ping": True, "device_id": device}


def _call(call: str, moment: str, outcome: str, wait: float | None, **more: object) -> Row:
    row: dict[str, object] = {
        "call_id": call,
        "started_at": at(moment),
        "outcome": outcome,
        "is_queued": wait is not None,
        "wait_seconds": wait,
    }
    return row | more


TILL = [
    _line("o1", "1", "2025-03-01 10:00:00", "100.00", discount_amount="10.00", loyalty_id="L1"),
    _line("o1", "2", "2025-03-01 10:00:00", "20.00", loyalty_id=None),  # the card was scanned once
    _line("o2", "1", "2025-03-01 17:00:00", "30.00", loyalty_id="L1"),
    _line("o3", "1", "2025-06-01 09:00:00", "50.00", loyalty_id="L1"),
    _line("r1", "1", "2025-06-10 09:00:00", "20.00", line_type="return", original_order_id="o1", loyalty_id="L1"),
    _line("o4", "1", "2025-06-30 22:30:00", "999.00", loyalty_id="L1"),  # 1 July in Berlin: after as_of
    _line("o5", "1", "2025-06-20 09:00:00", "7.00"),  # nobody's
    _line("o6", "1", "2023-06-20 09:00:00", "60.00", loyalty_id="L4"),
]
WEB = [
    _line("w1", "1", "2025-05-05 12:00:00", "40.00", channel="web", currency="USD", email="anna@example.com"),
    _line("w2", "1", "2025-06-15 12:00:00", "80.00", channel="web", currency="USD", email="bob@example.com"),
    _line("w3", "1", "2025-06-16 12:00:00", "20.00", channel="web", currency="USD", email="bob@example.com"),
]
APP = [
    # Anna crosses midnight in Berlin, comes back after exactly 30 minutes, and again a second too late.
    _event("e1", "2025-06-29 21:50:00", "login", device_id="d-anna", app_user_id="u-anna"),
    _event("e2", "2025-06-29 22:20:00", "product_view", device_id="d-anna"),
    _event("e3", "2025-06-29 22:50:01", "add_to_cart", device_id="d-anna"),
    _event("e4", "2025-06-01 08:00:00", "product_view", channel="web", app_user_id="u-cleo"),
    _event("e5", "2025-06-01 08:00:00", "search", channel="web", device_id="d-nobody"),
    _event("e6", "2025-07-01 08:00:00", "search", channel="web", app_user_id="u-cleo"),  # after as_of
]
WIFI = [
    _ping("p1", "2025-06-02 10:00:00", "s1", "d-anna"),
    _ping("p2", "2025-06-02 10:00:00", "s1", "d-anna"),  # the same sighting twice
    _ping("p3", "2025-06-02 10:25:00", "s1", "d-anna"),
    _ping("p4", "2025-06-02 10:55:01", "s1", "d-anna"),
    *(_ping(f"q{store}", "2025-06-03 10:00:00", f"s{store}", "sensor") for store in range(40)),
]
CALLS = [
    _call(
        *("c1", "2025-06-20 10:00:00", "answered", 15.0),
        talk_seconds=100.0,
        wrap_seconds=20.0,
        reason="complaint",
        satisfaction_score=2,
        phone="+49151001",
        is_resolved=False,
    ),
    _call(
        *("c2", "2025-06-21 09:00:00", "answered", 45.0),
        talk_seconds=240.0,
        reason="complaint",
        satisfaction_score=5,
        is_resolved=True,
        phone="+49151001",
    ),
    _call("c3", "2025-06-21 10:00:00", "abandoned", 5.0),
    _call("c4", "2025-06-21 11:00:00", "abandoned", 30.0),
    _call("c5", "2025-06-21 12:00:00", "self_service", None),
]
# What the catalogue, the CRM and the others know around all that; each has a row that lies after as_of.
AFTER_AS_OF = at("2025-06-30 22:00:00")
PROFILES = [
    {"profile_id": "p1", "updated_at": at("2025-06-12 08:00:00"), "given_name": "Anna", "email": "anna@example.com"},
    {"profile_id": "p3", "updated_at": at("2025-06-12 08:00:00"), "given_name": "Erik", "email": "erik@example.com"},
    {"profile_id": "p2", "updated_at": AFTER_AS_OF, "given_name": "Bob", "email": "bob@example.com"},
]
CONSENTS = [
    {"consent_id": "k1", "updated_at": at("2025-06-12 08:00:00"), "purpose": "marketing", "status": "granted"}
    | {"given_at": at("2025-06-12 08:00:00"), "email": "anna@example.com"},
    {"consent_id": "k2", "updated_at": AFTER_AS_OF, "purpose": "marketing", "status": "refused"},
]
SURVEYS = [
    {"response_id": "s1", "question_id": "nps", "answered_at": at("2025-06-20 12:00:00"), "instrument": "nps"}
    | {"score": 3, "scale_min": 0, "scale_max": 10, "channel": "hotline", "call_id": "c1", "phone": "+49151001"},
    {"response_id": "s2", "question_id": "nps", "answered_at": AFTER_AS_OF, "instrument": "nps"}
    | {"scale_min": 0, "scale_max": 10},
]
MESSAGES = [
    {"event_id": "m1", "occurred_at": at("2025-06-14 08:00:00"), "message_id": "m", "event_type": "sent"}
    | {"channel": "email", "campaign_id": "june", "email": "bob@example.com"},
    {"event_id": "m2", "occurred_at": AFTER_AS_OF, "message_id": "m", "event_type": "opened", "channel": "email"},
]
CASES = [
    {"case_id": "t1", "event_id": "1", "occurred_at": at("2025-06-20 10:05:00"), "event_type": "opened"}
    | {"case_type": "complaint", "channel": "hotline", "call_id": "c1", "phone": "+49151001"},
    {"case_id": "t1", "event_id": "2", "occurred_at": AFTER_AS_OF, "event_type": "resolved"},
]
PRODUCTS = [
    {"product_id": "a1", "valid_from_at": at("2023-01-01 00:00:00"), "list_price_amount": "20.00", "currency": "EUR"},
    {"product_id": "a2", "valid_from_at": AFTER_AS_OF},
]
RETURNS = [
    {"return_id": "r1", "line_id": "1", "returned_at": at("2025-06-10 09:00:00"), "order_id": "o1"}
    | {"reason": "defective", "refund_amount": "20.00", "currency": "EUR", "loyalty_id": "L1"},
    {"return_id": "r2", "line_id": "1", "returned_at": AFTER_AS_OF, "order_id": "o3"},
]
REVIEWS = [
    {"review_id": "v1", "reviewed_at": at("2025-06-18 19:00:00"), "product_id": "a1", "rating": 4, "text": "Gut."}
    | {"scale_min": 1, "scale_max": 5, "email": "bob@example.com"},
    {"review_id": "v2", "reviewed_at": AFTER_AS_OF, "rating": 1, "scale_min": 1, "scale_max": 5},
]
SOURCES: Sequence[tuple[str, str, Sequence[Row]]] = (
    ("transactions", "pos", TILL),
    ("transactions", "web", WEB),
    ("app_events", "app", APP),
    ("store_visits", "wifi", WIFI),
    ("hotline_calls", "calls", CALLS),
    ("profiles", "crm", PROFILES),
    ("consents", "preferences", CONSENTS),
    ("surveys", "surveys", SURVEYS),
    ("messages", "mailing", MESSAGES),
    ("cases", "tickets", CASES),
    ("products", "catalogue", PRODUCTS),
    ("returns", "desk", RETURNS),
    ("reviews", "reviews", REVIEWS),
)
MOMENTS = {
    "transactions": "ordered_at",
    "app_events": "occurred_at",
    "store_visits": "entered_at",
    "hotline_calls": "started_at",
    "profiles": "updated_at",
    "consents": "updated_at",
    "surveys": "answered_at",
    "messages": "occurred_at",
    "cases": "occurred_at",
    "products": "valid_from_at",
    "returns": "returned_at",
    "reviews": "reviewed_at",
}


def write_story(lake: Path) -> None:
    """Write the lake as one load would: one batch for each source, some rows of the till in quarantine."""
    write_empty_lake(lake)
    for entity, source, rows in SOURCES:
        write_batch(lake, entity, source, rows, quarantined=2 if source == "pos" else 0)


def write_story_piecemeal(lake: Path, keep: Callable[[dt.datetime], bool]) -> None:
    """Write the rows whose moment is kept, backwards, each in a batch of its own."""
    write_empty_lake(lake)
    for entity, source, rows in SOURCES:
        moment = MOMENTS[entity]
        kept = [row for row in rows if keep(row[moment])]  # pyright: ignore[reportArgumentType]
        for number, row in enumerate(reversed(kept)):
            write_batch(lake, entity, source, [row], batch=f"b{number}")
