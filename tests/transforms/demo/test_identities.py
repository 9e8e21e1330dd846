"""Identity life: what people share, change, mistype and hide, and that the truth says so."""

from __future__ import annotations

import duckdb
import phonenumbers
import pytest

from tests.transforms.demo.conftest import Written
from transforms.demo.block import Plan
from transforms.demo.company import Company
from transforms.demo.files import FORMS
from transforms.demo.identifiers import NO_DEVICE, PLACEHOLDER_EMAILS

# One company serves them all, if one worker has them.
pytestmark = pytest.mark.xdist_group("company")

# Every identifier of every row, as it stands in the files.
_GIVEN = """
    SELECT record_id, person_id, is_scored, 'card' AS type, Kundenkarte AS value FROM pos_sales
    UNION ALL SELECT record_id, person_id, is_scored, 'token', Zahlungstoken FROM pos_sales
    UNION ALL SELECT record_id, person_id, is_scored, 'account', account_id FROM web_orders
    UNION ALL SELECT record_id, person_id, is_scored, 'email', customer_email FROM web_orders
    UNION ALL SELECT record_id, person_id, is_scored, 'phone', customer_phone FROM web_orders
    UNION ALL SELECT record_id, person_id, is_scored, 'card', loyalty_number FROM web_orders
    UNION ALL SELECT record_id, person_id, is_scored, 'token', payment_token FROM web_orders
    UNION ALL SELECT record_id, person_id, is_scored, 'device', device FROM app_events
    UNION ALL SELECT record_id, person_id, is_scored, 'account', account FROM app_events
    UNION ALL SELECT record_id, person_id, is_scored, 'card', card FROM app_events
    UNION ALL SELECT record_id, person_id, is_scored, 'email', email FROM app_events
    UNION ALL SELECT record_id, person_id, is_scored, 'phone', phone FROM app_events
    UNION ALL SELECT record_id, person_id, is_scored, 'device', device FROM store_visits
    UNION ALL SELECT record_id, person_id, is_scored, 'card', card FROM store_visits
    UNION ALL SELECT record_id, person_id, is_scored, 'email', wifi_login FROM store_visits
    UNION ALL SELECT record_id, person_id, is_scored, 'phone', caller FROM hotline_calls
    UNION ALL SELECT record_id, person_id, is_scored, 'email', email FROM hotline_calls
    UNION ALL SELECT record_id, person_id, is_scored, 'card', card FROM hotline_calls
    UNION ALL SELECT record_id, person_id, is_scored, 'account', account FROM hotline_calls
    UNION ALL SELECT record_id, person_id, is_scored, 'card', kundenkarte FROM crm_profiles
    UNION ALL SELECT record_id, person_id, is_scored, 'account', konto FROM crm_profiles
    UNION ALL SELECT record_id, person_id, is_scored, 'email', email FROM crm_profiles
    UNION ALL SELECT record_id, person_id, is_scored, 'phone', telefon FROM crm_profiles
    UNION ALL SELECT record_id, person_id, is_scored, 'email', subject_mail FROM consents
    UNION ALL SELECT record_id, person_id, is_scored, 'account', subject_account FROM consents
    UNION ALL SELECT record_id, person_id, is_scored, 'card', subject_card FROM consents
    UNION ALL SELECT record_id, person_id, is_scored, 'device', subject_cookie FROM consents
    UNION ALL SELECT record_id, person_id, is_scored, 'email', recipient FROM campaign_messages
    UNION ALL SELECT record_id, person_id, is_scored, 'device', device FROM campaign_messages
    UNION ALL SELECT record_id, person_id, is_scored, 'account', account FROM campaign_messages
    UNION ALL SELECT record_id, person_id, is_scored, 'card', card FROM campaign_messages
    UNION ALL SELECT record_id, person_id, is_scored, 'email', email FROM surveys
    UNION ALL SELECT record_id, person_id, is_scored, 'phone', telefon FROM surveys
    UNION ALL SELECT record_id, person_id, is_scored, 'account', konto FROM surveys
    UNION ALL SELECT record_id, person_id, is_scored, 'email', customer_mail FROM service_cases
    UNION ALL SELECT record_id, person_id, is_scored, 'phone', customer_phone FROM service_cases
    UNION ALL SELECT record_id, person_id, is_scored, 'card', customer_card FROM service_cases
    UNION ALL SELECT record_id, person_id, is_scored, 'account', customer_account FROM service_cases
    UNION ALL SELECT record_id, person_id, is_scored, 'email', email FROM returns_desk
    UNION ALL SELECT record_id, person_id, is_scored, 'phone', phone FROM returns_desk
    UNION ALL SELECT record_id, person_id, is_scored, 'card', card FROM returns_desk
    UNION ALL SELECT record_id, person_id, is_scored, 'account', account FROM returns_desk
    UNION ALL SELECT record_id, person_id, is_scored, 'token', token FROM returns_desk
    UNION ALL SELECT record_id, person_id, is_scored, 'account', author_account FROM product_reviews
    UNION ALL SELECT record_id, person_id, is_scored, 'email', author_mail FROM product_reviews
"""
# What belongs to one person alone, by the truth.
_OWN = """
    SELECT person_id, 'account' AS type, account AS value FROM people
    UNION ALL SELECT person_id, 'card', card FROM people
    UNION ALL SELECT person_id, 'email', email FROM people
    UNION ALL SELECT person_id, 'email', later_email FROM people
    UNION ALL SELECT person_id, 'phone', mobile FROM people
    UNION ALL SELECT person_id, 'phone', later_mobile FROM people
    UNION ALL SELECT person_id, 'device', phone_device FROM people
    UNION ALL SELECT person_id, 'device', later_phone_device FROM people
    UNION ALL SELECT person_id, 'device', browser FROM people
    UNION ALL SELECT person_id, 'token', payment_token FROM people
"""


@pytest.fixture(scope="module")
def given(facts: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Table ``given``: every identifier value in the files, with ``normal`` as our own reading of it."""
    facts.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE given AS
        SELECT *, CASE type
            WHEN 'email' THEN lower(trim(value))
            WHEN 'phone' THEN regexp_replace(regexp_replace(
                translate(value, '０１２３４５６７８９', '0123456789'), '[^0-9]', '', 'g'), '^(0049|49)?0?', '')
            ELSE value END AS normal
        FROM ({_GIVEN}) WHERE value IS NOT NULL
        """
    )
    facts.execute(f"CREATE OR REPLACE TEMP TABLE own AS SELECT * FROM ({_OWN}) WHERE value IS NOT NULL")
    return facts


def _one(connection: duckdb.DuckDBPyConnection, query: str):
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def test_scored_records_are_exactly_those_with_an_identifier_of_their_own(given: duckdb.DuckDBPyConnection):
    """Computed again from the files' values and the list of everybody's identifiers, for all sources."""
    scored, wrong = _one(
        given,
        """
        WITH named AS (
            SELECT DISTINCT record_id FROM given JOIN own ON own.person_id = given.person_id
            AND own.type = given.type AND own.value = given.normal
        )
        SELECT count(*) FILTER (is_scored), count(*) FILTER (is_scored <> (named.record_id IS NOT NULL))
        FROM records LEFT JOIN named USING (record_id)
        """,
    )
    assert scored > 50_000
    assert wrong == 0


def test_records_of_nobody_are_not_scored(given: duckdb.DuckDBPyConnection):
    assert _one(given, "SELECT count(*) FROM records WHERE person_id IS NULL AND is_scored") == 0
    anonymous = _one(given, "SELECT avg(CAST(person_id IS NULL AS INTEGER)) FROM pos_sales")
    assert anonymous == pytest.approx(Company().anonymous_receipts, abs=0.03)
    bare = (
        "SELECT count(*) FROM pos_sales WHERE Kundenkarte IS NULL AND Zahlungstoken IS NULL AND person_id IS NOT NULL"
    )
    assert _one(given, bare) == 0


def test_phones_are_valid_german_numbers_in_many_spellings(given: duckdb.DuckDBPyConnection):
    rows = given.execute(
        "SELECT DISTINCT value, normal, person_id FROM given WHERE type = 'phone' AND is_scored"
    ).fetchall()
    people = {value for (value,) in given.execute("SELECT value FROM own WHERE type = 'phone'").fetchall()}
    parsed = [(phonenumbers.parse(value, "DE"), normal) for value, normal, _ in rows if normal in people]
    assert len(parsed) > 500
    assert all(phonenumbers.is_valid_number(number) for number, _ in parsed)
    assert all(str(number.national_number) == normal for number, normal in parsed)
    spelt = [value for value, *_ in rows]
    for mark in ("+49 ", "0049", "(0)", "/", "(01", "０"):
        assert any(mark in value for value in spelt), mark


def test_kiosks_have_many_users_and_nobody_before_the_login(company: Written, given: duckdb.DuckDBPyConnection):
    devices, users = _one(
        given,
        """
        SELECT count(DISTINCT device), count(DISTINCT account) / count(DISTINCT device)
        FROM app_events WHERE os = 'kiosk'
        """,
    )
    settings = company.settings
    assert devices == Plan(Company(), settings.demo_seed, settings.demo_people).kiosks
    assert users >= 10
    before = "SELECT count(*) FROM app_events WHERE os = 'kiosk' AND (account IS NULL) <> (person_id IS NULL)"
    assert _one(given, before) == 0


def test_couples_share_tablets_landlines_and_joint_cards(given: duckdb.DuckDBPyConnection):
    for column, used in (
        ("tablet", "SELECT device AS value, person_id FROM app_events"),
        ("joint_payment_token", "SELECT value, person_id FROM given WHERE type = 'token'"),
        ("landline", "SELECT normal AS value, person_id FROM given WHERE type = 'phone'"),
    ):
        shared = _one(
            given,
            f"""
            SELECT count(*) FROM (
                SELECT value FROM ({used}) WHERE value IN (SELECT {column} FROM people)
                GROUP BY value HAVING count(DISTINCT person_id) = 2
            )
            """,
        )
        assert shared > 0, column
    homes = _one(given, "SELECT max(n) FROM (SELECT count(*) AS n FROM people GROUP BY household_id)")
    assert homes == 2


def test_cashier_cards_have_many_customers(given: duckdb.DuckDBPyConnection):
    cards, customers = _one(
        given,
        """
        SELECT count(*), min(people) FROM (
            SELECT value, count(DISTINCT person_id) AS people FROM given
            WHERE type = 'card' AND value NOT IN (SELECT card FROM people WHERE card IS NOT NULL)
              AND value NOT IN ('0000000000000', '9999999999999')
            GROUP BY value
        )
        """,
    )
    assert cards == 3
    assert customers >= 5


def test_house_devices_are_seen_in_forty_stores_and_people_are_not(given: duckdb.DuckDBPyConnection):
    house, person = _one(
        given,
        f"""
        SELECT min(stores) FILTER (NOT is_person), max(stores) FILTER (is_person) FROM (
            SELECT device, count(DISTINCT site) AS stores, count(person_id) > 0 AS is_person
            FROM store_visits WHERE device <> '{NO_DEVICE}' GROUP BY device
        )
        """,
    )
    assert house >= 40
    assert person < 40


def test_people_change_addresses_numbers_and_phones(given: duckdb.DuckDBPyConnection):
    for later, former, kind in (
        ("later_email", "email", "email"),
        ("later_mobile", "mobile", "phone"),
        ("later_phone_device", "phone_device", "device"),
    ):
        both = _one(
            given,
            f"""
            SELECT count(*) FROM people
            WHERE {later} IN (SELECT normal FROM given WHERE type = '{kind}' AND given.person_id = people.person_id)
              AND {former} IN (SELECT normal FROM given WHERE type = '{kind}' AND given.person_id = people.person_id)
            """,
        )
        assert both >= 3, kind


def test_numbers_and_phones_are_handed_down(given: duckdb.DuckDBPyConnection):
    """Recycled mobile numbers and resold phones: two owners, one after the other."""
    for kind in ("phone", "device"):
        owners = f"SELECT value FROM own WHERE type = '{kind}' GROUP BY value HAVING count(DISTINCT person_id) = 2"
        assert given.execute(owners).fetchall(), kind
    for kind in ("account", "card", "email", "token"):
        doubled = f"SELECT value FROM own WHERE type = '{kind}' GROUP BY value HAVING count(DISTINCT person_id) > 1"
        assert not given.execute(doubled).fetchall(), kind


def test_mistyped_and_placeholder_addresses(given: duckdb.DuckDBPyConnection):
    odd = given.execute(
        """
        SELECT normal, count(DISTINCT person_id) FROM given
        WHERE type = 'email' AND person_id IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM own WHERE own.type = 'email' AND own.value = given.normal
                          AND own.person_id = given.person_id)
        GROUP BY normal
        """
    ).fetchall()
    mistyped = [value for value, _ in odd if value not in PLACEHOLDER_EMAILS]
    assert {value for value, _ in odd} & set(PLACEHOLDER_EMAILS)
    assert len(mistyped) >= 5
    assert max(people for value, people in odd if value not in PLACEHOLDER_EMAILS) == 1
    assert _one(given, "SELECT count(*) FROM given WHERE type = 'email' AND value <> lower(trim(value))") > 0


def test_hidden_devices_and_placeholder_cards(given: duckdb.DuckDBPyConnection):
    assert _one(given, f"SELECT count(DISTINCT person_id) FROM given WHERE value = '{NO_DEVICE}'") > 5
    assert _one(given, "SELECT count(DISTINCT person_id) FROM given WHERE value = '0000000000000'") > 1


def test_card_numbers_have_a_valid_check_digit(given: duckdb.DuckDBPyConnection):
    cards = [card for (card,) in given.execute("SELECT card FROM people WHERE card IS NOT NULL").fetchall()]
    assert all(card.startswith("29") and len(card) == 13 for card in cards)
    assert all(sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(card)) % 10 == 0 for card in cards)


def test_links_between_the_sources(given: duckdb.DuckDBPyConnection):
    """Payment tokens link till and web; cards link till, web, app and hotline; devices link app and stores."""
    for kind, first, second in (
        ("token", "pos_sales", "web_orders"),
        ("card", "pos_sales", "web_orders"),
        ("card", "pos_sales", "app_events"),
        ("card", "pos_sales", "hotline_calls"),
        ("device", "app_events", "store_visits"),
        ("email", "web_orders", "hotline_calls"),
        ("account", "app_events", "web_orders"),
        ("phone", "web_orders", "hotline_calls"),
        ("card", "crm_profiles", "pos_sales"),
        ("account", "crm_profiles", "app_events"),
        ("email", "consents", "campaign_messages"),
        ("phone", "surveys", "hotline_calls"),
        ("phone", "service_cases", "hotline_calls"),
        ("card", "returns_desk", "pos_sales"),
        ("account", "product_reviews", "web_orders"),
    ):
        shared = _one(
            given,
            f"""
            SELECT count(DISTINCT a.normal) FROM given AS a JOIN given AS b USING (type, normal)
            WHERE type = '{kind}' AND a.record_id LIKE '{first}:%' AND b.record_id LIKE '{second}:%' AND a.is_scored
            """,
        )
        assert shared > 20, (kind, first, second)


def test_many_events_come_before_the_login(given: duckdb.DuckDBPyConnection):
    devices = _one(
        given,
        """
        SELECT count(*) FROM (
            SELECT session FROM app_events GROUP BY session
            HAVING bool_or(account IS NULL) AND bool_or(account IS NOT NULL)
        )
        """,
    )
    assert devices > 500


def test_truth_covers_every_person_and_every_source(company: Written, given: duckdb.DuckDBPyConnection):
    assert _one(given, "SELECT count(DISTINCT person_id) FROM records WHERE is_scored") == company.summary.people
    assert _one(given, "SELECT count(*) - count(DISTINCT record_id) FROM records") == 0
    sources = given.execute("SELECT DISTINCT source FROM records ORDER BY source").fetchall()
    assert [source for (source,) in sources] == sorted(FORMS)
