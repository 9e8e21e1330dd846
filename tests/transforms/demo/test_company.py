"""What is planted can be measured in the files: shares, waits, purchases, returns, seasons."""

from __future__ import annotations

import duckdb
import numpy as np
import polars as pl
import pytest

from transforms.demo.almanac import DAYS
from transforms.demo.company import Company
from transforms.demo.hotline import _wait_scale, _waits, call_rows, draw_calls
from transforms.demo.people import draw_people
from transforms.demo.randomness import generator

# One company serves them all, if one worker has them.
pytestmark = pytest.mark.xdist_group("company")

COMPANY = Company()


def _row(facts: duckdb.DuckDBPyConnection, query: str, *values: float) -> tuple:
    row = facts.execute(query, list(values)).fetchone()
    assert row is not None
    return row


@pytest.fixture(scope="module")
def touches(facts: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """View ``touches``: sessions, visits, orders and returns of each person, online or not, counted from the files."""
    facts.execute(
        """
        CREATE OR REPLACE TEMP VIEW touches AS
        SELECT DISTINCT person_id, 'session' AS kind, session AS id, true AS is_online FROM app_events
        UNION ALL SELECT DISTINCT person_id, 'order', order_number, true FROM web_orders
        UNION ALL SELECT DISTINCT person_id, 'order', Bon_Nr, false FROM pos_sales
        UNION ALL SELECT person_id, 'visit', visit_ref, false FROM store_visits WHERE sensor = 'beacon'
        UNION ALL
        SELECT DISTINCT person_id, 'sightings', coalesce(device, card) || site || left(seen_from, 10), false
        FROM store_visits WHERE sensor = 'sighting'
        """
    )
    return facts


def test_planted_shares_of_channel_use(touches: duckdb.DuckDBPyConnection):
    people, both, mostly_online = _row(
        touches,
        """
        SELECT count(*), avg(CAST(online > 0 AND offline > 0 AS INTEGER)), avg(CAST(online > offline AS INTEGER))
        FROM (
            SELECT person_id, count(*) FILTER (is_online) AS online, count(*) FILTER (NOT is_online) AS offline
            FROM touches WHERE person_id IS NOT NULL GROUP BY person_id
        )
        """,
    )
    assert people == 1_000  # everybody leaves a trace
    assert both == pytest.approx(0.897, abs=0.002)
    assert mostly_online == pytest.approx(0.425, abs=0.01)


def test_shares_of_the_truth_agree_with_the_files(touches: duckdb.DuckDBPyConnection):
    wrong = _row(
        touches,
        """
        SELECT count(*) FROM people
        JOIN (SELECT person_id, bool_or(is_online) AS online, bool_or(NOT is_online) AS offline
              FROM touches GROUP BY person_id) AS seen USING (person_id)
        WHERE (channel_use <> 'offline_only') <> online OR (channel_use <> 'online_only') <> offline
        """,
    )
    assert wrong == (0,)


def test_hotline_answers_after_12_3_seconds(facts: duckdb.DuckDBPyConnection):
    seconds = "date_part('epoch', CAST(wait AS TIME))"
    asa, service_level, abandoned, short, at_once = _row(
        facts,
        f"""
        SELECT avg({seconds}) FILTER (result = 'ANSWERED'),
               count(*) FILTER (result = 'ANSWERED' AND {seconds} <= 20)
                 / count(*) FILTER (queue IS NOT NULL AND NOT (result = 'HANGUP' AND {seconds} < 10)),
               count(*) FILTER (result = 'HANGUP' AND queue IS NOT NULL) / count(queue),
               count(*) FILTER (result = 'HANGUP' AND {seconds} < 10),
               avg(CAST({seconds} = 0 AS INTEGER)) FILTER (result = 'ANSWERED')
        FROM hotline_calls
        """,
    )
    assert asa == pytest.approx(12.3, abs=0.5)
    assert 0.78 <= service_level <= 0.90
    assert 0.02 <= abandoned <= 0.08
    assert short > 0
    assert at_once == pytest.approx(COMPANY.answered_at_once, abs=0.06)


def test_wait_distribution_has_the_planted_mean():
    scale = _wait_scale(COMPANY.mean_wait_seconds, COMPANY.answered_at_once, COMPANY.wait_spread)
    drawn = np.random.default_rng(1).random(1_000_000)
    waits = _waits(drawn, COMPANY.answered_at_once, COMPANY.wait_spread, scale)
    assert waits.mean() == pytest.approx(12.3, abs=0.1)
    assert waits.min() == 0


def test_calls_look_like_a_hotline(facts: duckdb.DuckDBPyConnection):
    repeats, complaints, resolved, rating_resolved, rating_open, closed = _row(
        facts,
        """
        WITH calls AS (
            SELECT *, CAST(received AS TIMESTAMP) AS moment,
                   lag(CAST(received AS TIMESTAMP)) OVER (PARTITION BY person_id ORDER BY received) AS previous
            FROM hotline_calls
        )
        SELECT count(*) FILTER (moment - previous <= INTERVAL 24 HOUR) / count(*),
               avg(CAST(topic = 'COMPLAINT' AS INTEGER)),
               count(*) FILTER (solved = 'J') / count(solved),
               avg(CAST(rating AS INTEGER)) FILTER (solved = 'J'),
               avg(CAST(rating AS INTEGER)) FILTER (solved = 'N'),
               count(*) FILTER (hour(moment) NOT BETWEEN 8 AND 19 OR isodow(moment) = 7)
        FROM calls
        """,
    )
    assert 0.04 <= repeats <= 0.12
    assert 0.09 <= complaints <= 0.20
    assert 0.75 <= resolved <= 0.88
    assert rating_resolved > rating_open + 0.7
    assert closed == 0


def test_the_switch_loses_the_start_or_end_of_some_calls():
    people = draw_people(generator(7, 0, "people"), COMPANY, 0, 6_000)
    calls = draw_calls(generator(7, 0, "calls"), COMPANY, people)
    talk = (
        call_rows(generator(7, 0, "hotline"), COMPANY, people, calls, 0).frame["talk_sec"].cast(pl.Int64).drop_nulls()
    )
    faulty = ((talk < 0) | (talk > 3600)).mean()
    assert talk.min() < 0 < 3600 < talk.max()  # type: ignore[operator]
    assert 0.0005 <= faulty <= 0.01  # type: ignore[operator]


def test_purchases_follow_pareto_nbd(facts: duckdb.DuckDBPyConnection):
    """Given each person's rate and stretch, repeat purchases are Poisson: their sum and spread must fit."""
    rows = facts.execute(
        """
        SELECT purchase_rate * greatest(0, least(lifetime_days, ? - first_purchase_operational_day)), orders - 1
        FROM people WHERE is_buyer
        """,
        [DAYS],
    ).fetchall()
    expected, repeats = np.array(rows).T
    assert len(rows) > 700
    assert (repeats.sum() - expected.sum()) / np.sqrt(expected.sum()) == pytest.approx(0, abs=4)
    dispersion = ((repeats - expected) ** 2).sum() / expected.sum()
    assert dispersion == pytest.approx(1, abs=0.35)
    assert facts.execute("SELECT max(orders) FROM people WHERE NOT is_buyer").fetchone() == (0,)


def test_population_parameters_are_those_of_the_truth(facts: duckdb.DuckDBPyConnection):
    rate, dropout, spend, buyers = _row(
        facts,
        """
        SELECT avg(purchase_rate), avg(dropout_rate), avg(? / mean_order_value), avg(CAST(is_buyer AS INTEGER))
        FROM people
        """,
        COMPANY.p,
    )
    assert rate == pytest.approx(COMPANY.r / COMPANY.alpha, rel=0.15)
    assert dropout == pytest.approx(COMPANY.s / COMPANY.beta, rel=0.15)
    assert spend == pytest.approx(COMPANY.q / COMPANY.gamma, rel=0.08)
    # a few who would buy have not come to it by the last day
    assert COMPANY.buyers - 0.03 <= buyers <= COMPANY.buyers


def test_orders_in_the_files_are_those_of_the_truth(facts: duckdb.DuckDBPyConnection):
    wrong = _row(
        facts,
        """
        WITH found AS (
            SELECT person_id, count(DISTINCT id) AS orders FROM (
                SELECT person_id, Bon_Nr AS id FROM pos_sales WHERE Vorgang = 'VERKAUF'
                UNION ALL SELECT person_id, order_number FROM web_orders WHERE kind = 'order'
            ) GROUP BY person_id
        )
        SELECT count(*) FROM people LEFT JOIN found USING (person_id) WHERE people.orders <> coalesce(found.orders, 0)
        """,
    )
    assert wrong == (0,)


def test_order_values_follow_gamma_gamma(facts: duckdb.DuckDBPyConnection):
    """Order values divided by their person's mean p/nu average to 1, with the coefficient of variation of Gamma(p)."""
    values = facts.execute(
        """
        WITH orders AS (
            SELECT person_id, sum(CAST(replace(Bruttobetrag, ',', '.') AS DOUBLE)) AS gross
            FROM pos_sales WHERE Vorgang = 'VERKAUF' AND person_id IS NOT NULL GROUP BY person_id, Bon_Nr
            UNION ALL
            SELECT person_id, sum(CAST(quantity * unit_price AS DOUBLE))
            FROM web_orders WHERE kind = 'order' GROUP BY person_id, order_number
        )
        SELECT gross / mean_order_value FROM orders JOIN people USING (person_id)
        """
    ).fetchnumpy()
    relative = next(iter(values.values()))
    assert relative.mean() == pytest.approx(1, abs=0.03)
    assert relative.std() == pytest.approx(1 / np.sqrt(COMPANY.p), rel=0.1)


def test_returns_bring_back_part_of_an_order(facts: duckdb.DuckDBPyConnection):
    returned, unknown, early, too_much = _row(
        facts,
        """
        WITH lines AS (
            SELECT person_id, Bon_Nr AS id, strptime(Zeitpunkt, '%d.%m.%Y %H:%M:%S') AS moment,
                   Vorgang = 'RETOURE' AS back, Ursprungsbon AS original,
                   CAST(replace(Bruttobetrag, ',', '.') AS DECIMAL(18, 2)) AS gross
            FROM pos_sales
            UNION ALL
            SELECT person_id, order_number, created_at AT TIME ZONE 'Europe/Berlin', kind = 'return', return_of,
                   quantity * unit_price
            FROM web_orders
        ),
        orders AS (
            SELECT id, back, any_value(original) AS original, any_value(person_id) AS person_id, min(moment) AS moment,
                   sum(gross) AS gross
            FROM lines GROUP BY id, back
        )
        SELECT count(*) FILTER (orders.back) / count(*) FILTER (NOT orders.back),
               count(*) FILTER (orders.back AND sold.id IS NULL),
               count(*) FILTER (orders.back AND orders.moment < sold.moment),
               count(*) FILTER (orders.back AND (orders.gross > sold.gross OR orders.person_id <> sold.person_id))
        FROM orders LEFT JOIN orders AS sold ON orders.original = sold.id AND NOT sold.back
        """,
    )
    assert 0.03 <= returned <= 0.06
    assert (unknown, early, too_much) == (0, 0, 0)


def test_christmas_weekdays_and_closed_sundays(facts: duckdb.DuckDBPyConnection):
    december, other_months, sundays, holidays = _row(
        facts,
        """
        WITH receipts AS (SELECT DISTINCT Bon_Nr, strptime(left(Zeitpunkt, 10), '%d.%m.%Y') AS day FROM pos_sales)
        SELECT count(*) FILTER (year(day) = 2024 AND month(day) = 12),
               count(*) FILTER (year(day) = 2024 AND month(day) BETWEEN 8 AND 10) / 3,
               count(*) FILTER (isodow(day) = 7),
               count(*) FILTER (day IN ('2024-12-25', '2025-01-01', '2025-05-01'))
        FROM receipts
        """,
    )
    assert december > 1.4 * other_months
    assert (sundays, holidays) == (0, 0)
    web_sundays = _row(
        facts, "SELECT count(*) FROM web_orders WHERE isodow(created_at AT TIME ZONE 'Europe/Berlin') = 7"
    )
    assert web_sundays[0] > 0


def test_nothing_happens_before_joining_or_after_the_last_day(facts: duckdb.DuckDBPyConnection):
    early, late = _row(
        facts,
        """
        WITH moments AS (
            SELECT person_id, strptime(Zeitpunkt, '%d.%m.%Y %H:%M:%S') AS moment FROM pos_sales
            UNION ALL SELECT person_id, created_at AT TIME ZONE 'Europe/Berlin' FROM web_orders
            UNION ALL SELECT person_id, CAST(ts AS TIMESTAMPTZ) AT TIME ZONE 'Europe/Berlin' FROM app_events
            UNION ALL SELECT person_id, CAST(seen_from AS TIMESTAMPTZ) AT TIME ZONE 'Europe/Berlin' FROM store_visits
            UNION ALL SELECT person_id, CAST(received AS TIMESTAMP) FROM hotline_calls
        )
        SELECT count(*) FILTER (moment < joined_on - INTERVAL 1 DAY), count(*) FILTER (moment >= '2025-07-01')
        FROM moments JOIN people USING (person_id)
        """,
    )
    assert (early, late) == (0, 0)


def test_app_sessions_are_realistic(facts: duckdb.DuckDBPyConnection):
    names = {name for (name,) in facts.execute("SELECT DISTINCT name FROM app_events").fetchall()}
    assert names == {
        "screen_view", "search", "product_view", "login", "add_to_cart", "checkout", "purchase", "referral",
    }  # fmt: skip
    longest, purchases, orders, unsigned = _row(
        facts,
        """
        WITH gaps AS (
            SELECT *, moment - lag(moment) OVER (PARTITION BY session ORDER BY moment) AS gap
            FROM (SELECT *, CAST(ts AS TIMESTAMPTZ) AS moment FROM app_events)
        )
        SELECT max(gap) < INTERVAL 30 MINUTE,
               count(DISTINCT order_number) FILTER (name = 'purchase'),
               (SELECT count(DISTINCT order_number) FROM web_orders WHERE kind = 'order'),
               avg(CAST(account IS NULL AS INTEGER))
        FROM gaps
        """,
    )
    assert longest is True
    assert purchases == orders  # each order has its session
    assert 0.3 <= unsigned <= 0.7


def test_purchase_events_fall_on_their_orders(facts: duckdb.DuckDBPyConnection):
    apart = _row(
        facts,
        """
        SELECT max(abs(date_diff('second', CAST(ts AS TIMESTAMPTZ), created_at)))
        FROM app_events JOIN web_orders USING (order_number) WHERE name = 'purchase'
        """,
    )
    assert apart[0] <= 1
