"""What is known around purchases, calls and sessions agrees with them."""

from __future__ import annotations

import json

import duckdb
import pytest

from tests.transforms.demo.conftest import Written

# One company serves them all, if one worker has them.
pytestmark = pytest.mark.xdist_group("company")


def _row(facts: duckdb.DuckDBPyConnection, query: str) -> tuple:
    row = facts.execute(query).fetchone()
    assert row is not None
    return row


def test_profiles_come_again_with_each_change_and_seldom_out_of_order(facts: duckdb.DuckDBPyConnection):
    profiles, versions, same_moment = _row(
        facts,
        """
        SELECT count(DISTINCT kunden_nr), count(*), count(*) - count(DISTINCT (kunden_nr, geaendert))
        FROM crm_profiles_sent WHERE kunden_nr IN (SELECT kunden_nr FROM crm_profiles)
        """,
    )
    assert 1.1 <= versions / profiles <= 1.4
    # spoilt copies have keys of their own
    assert same_moment == 0
    assert _row(facts, "SELECT count(*) FROM crm_profiles") == (profiles,)


def test_some_versions_are_sent_after_newer_ones(company: Written):
    """The latest change is not always in the last file: the order of arrival decides nothing."""
    files = company.settings.incoming / "crm_profiles"
    rows = duckdb.execute(
        f"""
        WITH sent AS (
            SELECT kunden_nr, filename, strptime(geaendert, '%d.%m.%Y %H:%M:%S') AS changed
            FROM read_csv('{files}/*.csv', delim = ';', all_varchar = true, ignore_errors = true, filename = true)
            WHERE geaendert NOT LIKE '%2096%'
        )
        SELECT count(*) FROM sent AS a JOIN sent AS b USING (kunden_nr)
        WHERE a.filename < b.filename AND a.changed > b.changed
        """
    ).fetchone()
    assert rows is not None
    assert rows[0] > 0


def test_profiles_name_their_people_with_the_errors_of_forms(facts: duckdb.DuckDBPyConnection):
    exact_name, birth_given, birth_right, address_right, twice = _row(
        facts,
        """
        SELECT avg(CAST(vorname = given_name AND nachname = family_name AS INTEGER)),
               avg(CAST(geburtsdatum IS NOT NULL AS INTEGER)),
               avg(CAST(geburtsdatum = strftime(birth_date, '%d.%m.%Y') AS INTEGER)),
               avg(CAST(plz IN (postal_code, later_postal_code) AS INTEGER)),
               (SELECT count(*) FROM (SELECT person_id FROM crm_profiles GROUP BY ALL HAVING count(*) > 1))
        FROM crm_profiles JOIN people USING (person_id)
        """,
    )
    assert 0.6 <= exact_name <= 0.95
    assert 0.8 <= birth_given <= 0.95
    assert 0.85 <= birth_right < 1
    assert address_right == 1
    assert twice > 20
    assert _row(facts, "SELECT count(*) FROM crm_profiles WHERE name_original SIMILAR TO '[\u4e00-\u9fff]+'") > (0,)


def test_no_campaign_mail_without_consent(facts: duckdb.DuckDBPyConnection):
    mails, without, after_withdrawal = _row(
        facts,
        """
        WITH sent AS (SELECT * FROM campaign_messages WHERE event = 'SENT' AND channel <> 'POST'),
        allowed AS (SELECT * FROM consents WHERE purpose = 'newsletter' AND given IS NOT NULL)
        SELECT count(*), count(*) FILTER (allowed.person_id IS NULL OR CAST(given AS TIMESTAMPTZ) > happened_at),
               count(*) FILTER (CAST(revoked AS TIMESTAMPTZ) < happened_at)
        FROM sent LEFT JOIN allowed USING (person_id)
        """,
    )
    assert mails > 500
    assert (without, after_withdrawal) == (0, 0)


def test_clicks_lead_to_sessions_and_coupons_to_receipts(facts: duckdb.DuckDBPyConnection):
    clicks, with_session = _row(
        facts,
        """
        SELECT count(*), count(*) FILTER (EXISTS (
            SELECT 1 FROM app_events AS e
            WHERE e.person_id = m.person_id AND e.campaign IN ('newsletter', 'push')
              AND abs(date_diff('second', CAST(e.ts AS TIMESTAMPTZ), m.happened_at)) <= 1))
        FROM campaign_messages AS m WHERE event = 'CLICK'
        """,
    )
    assert clicks > 50
    assert with_session == clicks
    coupons, on_receipts = _row(
        facts,
        """
        SELECT count(*),
               count(*) FILTER ("order" IN (SELECT Bon_Nr FROM pos_sales AS p WHERE p.person_id = m.person_id))
        FROM campaign_messages AS m WHERE event = 'REDEEM'
        """,
    )
    assert coupons > 10
    assert on_receipts == coupons


def test_messages_happen_in_order(facts: duckdb.DuckDBPyConnection):
    wrong = _row(
        facts,
        """
        WITH moments AS (
            SELECT message_ref, min(happened_at) FILTER (event = 'SENT') AS sent,
                   min(happened_at) FILTER (event = 'OPEN') AS opened,
                   min(happened_at) FILTER (event IN ('CLICK', 'UNSUBSCRIBE')) AS acted,
                   min(happened_at) AS first
            FROM campaign_messages GROUP BY message_ref
        )
        SELECT count(*) FILTER (sent IS NULL), count(*) FILTER (first < sent), count(*) FILTER (acted < opened),
               count(*) FILTER (acted IS NOT NULL AND opened IS NULL)
        FROM moments
        """,
    )
    assert wrong == (0, 0, 0, 0)


def test_surveys_follow_calls_and_orders_of_the_same_person(facts: duckdb.DuckDBPyConnection):
    answers, elsewhere, early = _row(
        facts,
        """
        WITH about AS (
            SELECT call_ref AS id, person_id, CAST(received AS TIMESTAMP) AS moment FROM hotline_calls
            UNION SELECT order_number, person_id, created_at AT TIME ZONE 'Europe/Berlin' FROM web_orders
        )
        SELECT count(*), count(*) FILTER (about.person_id IS DISTINCT FROM surveys.person_id),
               count(*) FILTER (strptime(beantwortet, '%d.%m.%Y %H:%M:%S') < moment)
        FROM surveys LEFT JOIN about ON about.id = surveys.vorgang WHERE anlass <> 'BAROMETER'
        """,
    )
    assert answers > 200
    assert (elsewhere, early) == (0, 0)
    helped, not_helped = _row(
        facts,
        """
        SELECT avg(TRY_CAST(wert AS INTEGER)) FILTER (solved = 'J'),
               avg(TRY_CAST(wert AS INTEGER)) FILTER (solved = 'N')
        FROM surveys JOIN hotline_calls ON call_ref = vorgang WHERE art = 'NPS'
        """,
    )
    assert helped > not_helped


def test_questionnaires_hold_their_items_as_json(facts: duckdb.DuckDBPyConnection):
    packed = facts.execute("SELECT werte FROM surveys WHERE anlass = 'BAROMETER'").fetchall()
    assert len(packed) >= 3
    for (text,) in packed:
        items = json.loads(text)
        assert len(items) == 25
        assert {"tangibles.1", "tangibles.1.expectation", "response_efficiency.2"} <= set(items)
        assert all(1 <= value <= 7 for value in items.values())


def test_cases_follow_calls_and_run_from_opening_to_end(facts: duckdb.DuckDBPyConnection):
    of_calls, elsewhere, helped, early = _row(
        facts,
        """
        SELECT count(*), count(*) FILTER (call_ref IS NULL OR c.person_id <> h.person_id),
               count(*) FILTER (solved = 'J'),
               count(*) FILTER (timezone('Europe/Berlin', CAST(event_at AS TIMESTAMPTZ)) < CAST(received AS TIMESTAMP))
        FROM service_cases AS c LEFT JOIN hotline_calls AS h ON h.call_ref = c.reference_call
        WHERE reference_call IS NOT NULL
        """,
    )
    assert of_calls > 300
    assert (elsewhere, helped, early) == (0, 0, 0)
    cases, opened_once, in_order, solved_in_time = _row(
        facts,
        """
        WITH cases AS (
            SELECT ticket_id, count(*) FILTER (event_kind = 'OPENED') AS opened,
                   bool_and(place = by_time) AS in_order,
                   min(event_at) FILTER (event_kind = 'SOLVED') <= any_value(ticket_promise_solve_by) AS in_time
            FROM (
                SELECT *, row_number() OVER (PARTITION BY ticket_id ORDER BY CAST(event_number AS INTEGER)) AS place,
                       row_number() OVER (PARTITION BY ticket_id ORDER BY event_at, event_number) AS by_time
                FROM service_cases
            ) GROUP BY ticket_id
        )
        SELECT count(*), count(*) FILTER (opened = 1), count(*) FILTER (in_order), avg(CAST(in_time AS INTEGER))
        FROM cases
        """,
    )
    assert opened_once == in_order == cases
    assert 0.5 <= solved_in_time <= 0.9


def test_slips_take_back_lines_of_real_orders(facts: duckdb.DuckDBPyConnection):
    slips, unknown, booked = _row(
        facts,
        """
        WITH lines AS (
            SELECT Bon_Nr AS id, Position AS line, Artikel AS article, person_id
            FROM pos_sales WHERE Vorgang = 'VERKAUF'
            UNION ALL SELECT order_number, CAST(line_no AS VARCHAR), sku, person_id FROM web_orders WHERE kind = 'order'
        ),
        returns AS (
            SELECT Bon_Nr AS id, person_id FROM pos_sales WHERE Vorgang = 'RETOURE'
            UNION SELECT order_number, person_id FROM web_orders WHERE kind = 'return'
        )
        SELECT count(*),
               count(*) FILTER (lines.id IS NULL OR lines.person_id <> s.person_id OR lines.article <> s.article),
               count(*) FILTER (receipt IN (SELECT id FROM returns WHERE returns.person_id = s.person_id))
        FROM returns_desk AS s LEFT JOIN lines ON lines.id = s.sold_on AND lines.line = s.sold_pos
        """,
    )
    assert slips > 200
    assert (unknown, booked) == (0, slips)


def test_reviews_are_of_articles_that_were_bought_and_come_in_three_languages(facts: duckdb.DuckDBPyConnection):
    reviews, unbought, languages, of_returned, of_kept = _row(
        facts,
        """
        WITH bought AS (
            SELECT Bon_Nr AS "order", Artikel AS article, person_id FROM pos_sales
            UNION SELECT order_number, sku, person_id FROM web_orders
        ),
        judged AS (
            SELECT v.*, bought.article IS NULL AS unbought,
                   EXISTS (FROM returns_desk AS s WHERE s.sold_on = v."order" AND s.article = v.article) AS back
            FROM product_reviews AS v LEFT JOIN bought USING (person_id, "order", article)
        )
        SELECT count(*), count(*) FILTER (unbought), count(DISTINCT lang),
               avg(CAST(rating_value AS INTEGER)) FILTER (back), avg(CAST(rating_value AS INTEGER)) FILTER (NOT back)
        FROM judged
        """,
    )
    assert reviews > 100
    assert (unbought, languages) == (0, 3)
    assert of_returned < of_kept


def test_the_catalogue_loses_articles_and_holds_every_one_that_is_sold(
    company: Written, facts: duckdb.DuckDBPyConnection
):
    files = sorted((company.settings.incoming / "product_catalogue").iterdir())
    held = [
        duckdb.execute(
            f"SELECT count(DISTINCT Artikel) FROM read_csv('{file}', delim = ';', all_varchar = true)"
            " WHERE Artikel NOT LIKE 'X%'"
        ).fetchone()
        for file in files
    ]
    assert held == [(4_060,), (4_048,), (4_036,), (4_024,), (4_012,), (4_000,)]
    missing = _row(facts, "SELECT count(*) FROM pos_sales WHERE Artikel NOT IN (SELECT Artikel FROM product_catalogue)")
    assert missing == (0,)
    margin = _row(
        facts,
        """
        SELECT min(1 - replace(Einkaufspreis, ',', '.')::DOUBLE / (replace(Listenpreis, ',', '.')::DOUBLE / 1.19))
        FROM product_catalogue
        """,
    )
    assert margin[0] == pytest.approx(0.15, abs=0.1)
