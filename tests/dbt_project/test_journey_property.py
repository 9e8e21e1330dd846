"""The journey in SQL against one judged day by day, in the plainest way, from the words of the definition."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dbt_project.compiled_models import compiled_models, empty_warehouse, put_table, run_models

# One worker compiles for all.
pytestmark = pytest.mark.xdist_group("compiled_models")

AS_OF = dt.date(2025, 6, 30)
MODELS = (
    "intermediate.int_journey_days",
    "intermediate.int_journey_complaints",
    "intermediate.int_journey_thresholds",
    "intermediate.int_journey_course",
    "intermediate.int_journey_moves",
    "intermediate.int_journey_evidence",
    "marts.customer_journey_history",
    "marts.customer_journey",
)
# A trial takes a tenth of a second in the database, whatever its size.
TRIALS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@dataclass(frozen=True)
class Record:
    """One record of one customer; ``kind`` is purchase, return, session, store_visit or call."""

    at: dt.datetime
    kind: str
    product_views: int = 0
    carts: int = 0
    referrals: int = 0
    dwell_seconds: float = 0.0
    is_complaint: bool = False
    is_enquiry: bool = False
    is_resolved: bool | None = None

    @property
    def day(self) -> dt.date:
        return self.at.date()


def judge(day: dt.date, records: Sequence[Record]) -> str:
    """Stage at the end of a day, from all records of one customer."""

    def age(record: Record) -> int:
        return (day - record.day).days

    known = [record for record in records if record.day <= day]
    purchases = sorted({record.day for record in known if record.kind == "purchase"})
    if not purchases:
        recent = [record for record in known if age(record) < 30]
        sessions = sum(record.kind == "session" for record in recent)
        viewed = any(record.product_views for record in recent)
        carted = any(record.carts for record in recent)
        stayed = any(record.kind == "store_visit" and record.dwell_seconds >= 300 for record in recent)
        asked = any(record.is_enquiry for record in recent)
        return "consideration" if sessions >= 2 or (viewed and carted) or stayed or asked else "awareness"

    if min(age(record) for record in known) > 365:
        return "churned"
    since_purchase = (day - purchases[-1]).days
    gaps = [(later - earlier).days for earlier, later in itertools.pairwise(purchases)]
    mean_gap = Fraction(sum(gaps), len(gaps)) if gaps else Fraction(0)
    active = any(record.kind in ("session", "store_visit") and age(record) < 60 for record in known)
    if since_purchase > max(180, 3 * mean_gap) and not active:
        return "dormant"
    resolutions = [record.at for record in known if record.is_resolved]
    unresolved = any(
        record.is_complaint
        and record.is_resolved is False
        and age(record) > 7
        and not any(resolution > record.at for resolution in resolutions)
        for record in known
    )
    if since_purchase > max(90, 2 * mean_gap) or unresolved:
        return "at_risk"
    if sum((day - purchase).days < 365 for purchase in purchases) >= 3 and since_purchase <= 90:
        referred = any(record.referrals and age(record) < 365 for record in known)
        return "advocacy" if referred else "loyalty"
    if (day - purchases[0]).days <= 30 and not any(record.day > purchases[0] for record in known):
        return "purchase"
    return "use"


def days_until_as_of(start: dt.date) -> Iterator[dt.date]:
    """Every day from start to the last day that counts."""
    return (start + dt.timedelta(days=number) for number in range((AS_OF - start).days + 1))


# Days next to a threshold are where histories go wrong, so they are drawn more often than others.
near = st.sampled_from([0, 0, 1, 2, 6, 7, 8, 9, 12])
month = st.sampled_from([1, 5, 28, 29, 30, 31, 32])
rhythm = st.sampled_from([20, 45, 58, 59, 60, 61, 75, 89, 90, 91])
slow = st.one_of(st.integers(85, 200), st.sampled_from([179, 180, 181, 182]))
rare = st.sampled_from([240, 363, 364, 365, 366, 367, 400])
counts = st.sampled_from([0, 0, 1])
moments = st.sampled_from([dt.time(0, 0), dt.time(10, 0), dt.time(10, 0), dt.time(23, 59, 59)])

purchase = st.just({"kind": "purchase"})
refund = st.just({"kind": "return"})
session = st.fixed_dictionaries({"kind": st.just("session"), "product_views": counts, "carts": counts})
referral = st.just({"kind": "session", "referrals": 1})
visit = st.fixed_dictionaries({"kind": st.just("store_visit"), "dwell_seconds": st.sampled_from([0.0, 299.9, 300.0])})
call = st.fixed_dictionaries(
    {
        "kind": st.just("call"),
        "is_complaint": st.booleans(),
        "is_enquiry": st.booleans(),
        "is_resolved": st.sampled_from([True, False, None]),
    }
)
PERSONAS = {
    "anyone": (st.one_of(purchase, refund, session, visit, call), st.one_of(near, month, rhythm, slow, rare)),
    "browser": (st.one_of(session, session, visit, call, refund), st.one_of(near, month)),
    "regular": (st.one_of(*[purchase] * 9, session, referral), st.one_of(month, rhythm, rhythm)),
    "slow buyer": (st.one_of(*[purchase] * 5, session, visit), slow),
    "complainer": (st.one_of(purchase, call, call, call), near),
    "leaver": (st.one_of(purchase, purchase, session, visit, call), st.one_of(rhythm, slow, rare)),
}


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """Records of one customer, at least one, none after the last day that counts."""
    shapes, gaps = PERSONAS[draw(st.sampled_from(sorted(PERSONAS)))]
    day = AS_OF - dt.timedelta(days=draw(st.integers(0, 900)))
    records: list[Record] = []
    for _ in range(draw(st.integers(1, 20))):
        records.append(Record(at=dt.datetime.combine(day, draw(moments)), **draw(shapes)))
        day += dt.timedelta(days=draw(gaps))
        if day > AS_OF:
            break
    return records


def facts(customers: Sequence[Sequence[Record]]) -> dict[str, pl.DataFrame]:
    """The facts that the journey reads; customer i is named i, and record ids are unique."""
    rows = [
        {
            "customer_id": str(customer),
            "record_id": f"{customer}:{number}",
            "session_id": f"{customer}:{number}",
            "occurred_at": record.at,
            "started_at": record.at,
            "ordered_at": record.at,
            "entered_at": record.at,
            "occurred_date": record.day,
            "session_date": record.day,
            "order_date": record.day,
            "visit_date": record.day,
            "call_date": record.day,
            "purchase_date": record.day,
            "order_net_amount": {"purchase": 10.0, "return": -10.0}.get(record.kind),
            **{name: getattr(record, name) for name in Record.__dataclass_fields__ if name != "at"},
        }
        for customer, records in enumerate(customers)
        for number, record in enumerate(records)
    ]
    everything = pl.DataFrame(rows, schema_overrides={"is_resolved": pl.Boolean, "order_net_amount": pl.Float64})
    purchases = everything.filter(pl.col("kind") == "purchase").select("customer_id", "purchase_date").unique()
    return {
        "marts.customer_timeline": everything,
        "intermediate.fct_orders": everything.filter(pl.col("kind").is_in(["purchase", "return"])),
        "intermediate.int_journey_purchases": purchases,
        "intermediate.fct_sessions": everything.filter(pl.col("kind") == "session"),
        "intermediate.fct_store_visits": everything.filter(pl.col("kind") == "store_visit"),
        "intermediate.fct_calls": everything.filter(pl.col("kind") == "call"),
    }


@pytest.fixture(scope="module")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """One database for all histories: each replaces the tables of the one before."""
    with empty_warehouse() as con:
        yield con


def journeys(con: duckdb.DuckDBPyConnection, customers: Sequence[Sequence[Record]]) -> list[dict]:
    """Rows of customer_journey_history for these customers, by customer and first day."""
    for table, rows in facts(customers).items():
        put_table(con, table, rows)
    run_models(con, compiled_models(AS_OF), *MODELS)
    return con.sql("FROM marts.customer_journey_history ORDER BY customer_id, valid_from_date").pl().to_dicts()


@settings(TRIALS, max_examples=50)
@given(customers=st.lists(histories(), min_size=1, max_size=12))
def test_each_day_has_the_stage_that_the_definition_gives(warehouse, customers):
    intervals = journeys(warehouse, customers)
    told = {
        (row["customer_id"], row["valid_from_date"] + dt.timedelta(days=number)): row["stage"]
        for row in intervals
        for number in range(row["duration_days"])
    }
    judged = {
        (str(customer), day): judge(day, records)
        for customer, records in enumerate(customers)
        for day in days_until_as_of(min(record.day for record in records))
    }
    assert told == judged
    assert sum(row["duration_days"] for row in intervals) == len(judged), "intervals overlap"


@settings(TRIALS, max_examples=15)
@given(customers=st.lists(histories(), min_size=1, max_size=6))
def test_intervals_are_maximal_and_rest_on_a_known_record(warehouse, customers):
    intervals = journeys(warehouse, customers)
    for row in intervals:
        customer, number = map(int, row["evidence_id"].split(":"))
        assert customer == int(row["customer_id"])
        assert customers[customer][number].day <= row["valid_from_date"]
        assert row["reason"]
    for earlier, later in itertools.pairwise(intervals):
        if earlier["customer_id"] == later["customer_id"]:
            assert earlier["valid_to_date"] + dt.timedelta(days=1) == later["valid_from_date"]
            assert earlier["stage"] != later["stage"]
        else:
            assert earlier["valid_to_date"] is None
    present = warehouse.sql("SELECT customer_id, stage FROM marts.customer_journey").fetchall()
    assert dict(present) == {str(number): judge(AS_OF, records) for number, records in enumerate(customers)}
    assert len(present) == len(customers)
