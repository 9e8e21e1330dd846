"""The whole platform on real data: facts, marts and the published file against the oracles."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Hashable, Iterable
from pathlib import Path

import duckdb
import polars as pl
import pytest

from .conftest import BUSINESS_ZONE, END_OF_RETAIL_YEAR, Outcome
from .oracles import completejourney, hokuriku, snowplow, technion

pytestmark = [pytest.mark.real_data, pytest.mark.slow]

RETAIL = "completejourney_transactions"


def cents(column: str) -> pl.Expr:
    return (pl.col(column) * 100).cast(pl.Int64).alias(column)


def one_to_one(pairs: Iterable[tuple[Hashable, Hashable]]) -> bool:
    """Whether two labels split the same records in the same way."""
    forward: dict[Hashable, set[Hashable]] = defaultdict(set)
    backward: dict[Hashable, set[Hashable]] = defaultdict(set)
    for left, right in pairs:
        forward[left].add(right)
        backward[right].add(left)
    return all(len(found) == 1 for found in (*forward.values(), *backward.values()))


@pytest.fixture(scope="session")
def receipts(real_data: Path) -> dict[int, completejourney.Receipt]:
    return completejourney.receipts(real_data)


@pytest.fixture(scope="session")
def households(after_retail_year: Outcome, receipts: dict[int, completejourney.Receipt]) -> dict[str, int]:
    """Customer id of the second run to household, by the receipts they share."""
    orders = after_retail_year.built(
        f"SELECT DISTINCT customer_id, order_id FROM intermediate.fct_orders WHERE source = '{RETAIL}'"
    )
    pairs = {(customer, receipts[int(order)].household) for customer, order in orders.iter_rows()}
    assert one_to_one(pairs)
    return dict(pairs)


# Money


def test_every_receipt_is_an_order_with_its_revenue(
    after_everything: Outcome, receipts: dict[int, completejourney.Receipt]
) -> None:
    orders = after_everything.built(
        f"SELECT order_id, lines, net_amount, gross_amount FROM intermediate.fct_orders WHERE source = '{RETAIL}'"
    ).with_columns(cents("net_amount"), cents("gross_amount"))
    assert {int(order): tuple(rest) for order, *rest in orders.iter_rows()} == {
        basket: (receipt.lines, receipt.net_cents, receipt.gross_cents) for basket, receipt in receipts.items()
    }


def test_a_household_is_one_customer_in_the_shop_and_at_the_till(
    after_everything: Outcome, receipts: dict[int, completejourney.Receipt]
) -> None:
    pairs = after_everything.built(
        f"""
        SELECT customer_id, order_id AS basket FROM intermediate.fct_orders WHERE source = '{RETAIL}'
        UNION ALL
        SELECT customer_id, visit_id FROM intermediate.fct_store_visits WHERE source = 'completejourney_visits'
        """
    )
    assert pairs.height == 2 * len(receipts)
    assert pairs["customer_id"].null_count() == 0
    assert one_to_one((customer, receipts[int(basket)].household) for customer, basket in pairs.iter_rows())


def test_purchase_days_are_days_of_the_business_with_positive_revenue(
    after_retail_year: Outcome, households: dict[str, int], receipts: dict[int, completejourney.Receipt]
) -> None:
    built: dict[int, set[dt.date]] = defaultdict(set)
    for customer, day in after_retail_year.built(
        "SELECT customer_id, purchase_date FROM intermediate.int_customer_purchase_days"
    ).iter_rows():
        built[households[customer]].add(day)
    assert built == completejourney.purchase_days(receipts.values(), BUSINESS_ZONE)


def test_rfm_of_every_household(
    after_retail_year: Outcome, households: dict[str, int], receipts: dict[int, completejourney.Receipt]
) -> None:
    expected = completejourney.rfm(receipts.values(), BUSINESS_ZONE, END_OF_RETAIL_YEAR)
    scored = after_retail_year.read(
        """
        SELECT customer_id, recency_days, purchase_days, net_revenue_amount, r_score, f_score, m_score, segment
        FROM marts.customer_rfm
        """
    ).with_columns(cents("net_revenue_amount"))
    assert {
        households[customer]: (completejourney.Rfm(*figures), segment)
        for customer, *figures, segment in scored.iter_rows()
    } == {household: (figures, figures.segment) for household, figures in expected.items()}


def test_published_cut_points_are_those_of_the_households(
    after_retail_year: Outcome, receipts: dict[int, completejourney.Receipt]
) -> None:
    expected = completejourney.rfm(receipts.values(), BUSINESS_ZONE, END_OF_RETAIL_YEAR)
    cuts = after_retail_year.read("SELECT measure, value FROM marts.rfm_cut_points ORDER BY measure, cut")
    values = {
        "recency": {household: figures.recency_days for household, figures in expected.items()},
        "frequency": {household: figures.purchase_days for household, figures in expected.items()},
        "monetary": {household: figures.net_cents for household, figures in expected.items()},
    }
    for measure, by_household in values.items():
        scale = 100 if measure == "monetary" else 1
        published = [int(value * scale) for value in cuts.filter(pl.col("measure") == measure)["value"]]
        assert published == completejourney.cut_points(by_household), measure


def test_historic_value_of_every_household_is_its_revenue(
    after_retail_year: Outcome, households: dict[str, int], receipts: dict[int, completejourney.Receipt]
) -> None:
    expected: dict[int, int] = defaultdict(int)
    for receipt in receipts.values():
        expected[receipt.household] += receipt.net_cents
    valued = after_retail_year.read("SELECT customer_id, historic_clv_amount FROM marts.customer_clv").with_columns(
        cents("historic_clv_amount")
    )
    built = {households[customer]: amount for customer, amount in valued.iter_rows() if customer in households}
    assert built == expected


def test_currency_of_all_money_is_the_retailers(after_everything: Outcome) -> None:
    assert after_everything.built("SELECT DISTINCT currency FROM intermediate.fct_orders").rows() == [("USD",)]


# Hotline


def test_service_figures_of_the_hotline(after_everything: Outcome, real_data: Path) -> None:
    expected = technion.figures(technion.calls(real_data))
    built = after_everything.built(
        """
        SELECT
            count(*) AS calls,
            count(*) FILTER (is_queued) AS queued,
            count(*) FILTER (outcome = 'answered') AS answered,
            count(*) FILTER (outcome = 'answered' AND is_queued) AS answered_queued,
            count(*) FILTER (outcome = 'answered' AND coalesce(wait_seconds, 0) <= 20) AS answered_within_20,
            count(*) FILTER (outcome = 'answered' AND wait_seconds <= 20) AS answered_queued_within_20,
            count(*) FILTER (outcome = 'abandoned') AS abandoned,
            count(*) FILTER (outcome = 'abandoned' AND is_queued) AS abandoned_queued,
            count(*) FILTER (is_short_abandon) AS short_abandons,
            avg(coalesce(wait_seconds, 0)) FILTER (outcome = 'answered') AS asa_all_answered,
            avg(wait_seconds) FILTER (outcome = 'answered') AS asa_waited,
            count(handle_seconds) AS handled,
            count(*) FILTER (is_handle_excluded) AS handles_excluded,
            avg(handle_seconds) AS mean_handle,
            count(customer_id) AS identified,
            count(*) FILTER (is_repeat_contact) AS repeat_contacts
        FROM intermediate.fct_calls
        """
    ).to_dicts()[0]
    assert built == pytest.approx(vars(expected), rel=1e-12)


def test_published_service_figures_name_their_denominators(after_everything: Outcome, real_data: Path) -> None:
    log = technion.calls(real_data)
    counted = technion.figures(log)
    resolved = list(technion.first_contact_resolutions(log).values())
    not_short = counted.queued - counted.short_abandons
    published = after_everything.read(
        """
        SELECT calls, offered_calls, answered_calls, abandoned_calls, short_abandons, abandon_rate_queued,
            abandon_rate_offered_excl_short, service_level_rate, asa_seconds, asa_waited_seconds, aht_seconds,
            fcr_rate, repeat_contact_rate
        FROM marts.channel_summary WHERE channel = 'hotline'
        """
    ).row(0)
    assert published == pytest.approx(
        (
            counted.calls,
            counted.queued,
            counted.answered,
            counted.abandoned_queued,
            counted.short_abandons,
            counted.abandoned_queued / counted.queued,
            (counted.abandoned_queued - counted.short_abandons) / not_short,
            counted.answered_queued_within_20 / not_short,
            counted.asa_all_answered,
            counted.asa_waited,
            counted.mean_handle,
            sum(resolved) / len(resolved),
            counted.repeat_contacts / counted.identified,
        ),
        rel=1e-12,
    )


def test_repeat_contacts_and_first_contact_resolution_call_by_call(after_everything: Outcome, real_data: Path) -> None:
    log = technion.calls(real_data)
    judged = after_everything.built("SELECT call_id, is_repeat_contact, is_fcr FROM intermediate.fct_calls")
    repeats = {call for call, repeat, _ in judged.iter_rows() if repeat}
    assert repeats == {"-".join(key) for key in technion.repeat_contacts(log)}
    resolved = {call: known for call, _, known in judged.iter_rows() if known is not None}
    assert resolved == {"-".join(key): known for key, known in technion.first_contact_resolutions(log).items()}


def test_callers_are_told_apart_by_their_customer_number(after_everything: Outcome, real_data: Path) -> None:
    callers = {"-".join(call.key): call.customer for call in technion.calls(real_data)}
    built = after_everything.built("SELECT call_id, customer_id FROM intermediate.fct_calls")
    assert all((customer is None) == (callers[call] is None) for call, customer in built.iter_rows())
    assert one_to_one((callers[call], customer) for call, customer in built.iter_rows() if customer)


# Stores


def test_visits_cut_from_pings_are_the_publishers(after_everything: Outcome, real_data: Path) -> None:
    complete = hokuriku.complete_venues(real_data)
    published = {visit for visit in hokuriku.published_visits(real_data) if visit.venue in complete}
    built = after_everything.built(
        """
        SELECT
            CAST(replace(store_id, 'hokuriku-', '') AS BIGINT) AS venue,
            device_id,
            entered_at + INTERVAL '9' HOUR AS entered_at,
            dwell_seconds
        FROM intermediate.fct_store_visits
        WHERE source = 'hokuriku_pings'
        """
    )
    visits = [hokuriku.Visit(*row) for row in built.iter_rows() if row[0] in complete]
    assert len(visits) == len(set(visits))
    assert set(visits) == hokuriku.joined_over_midnight(published)


def test_every_ping_is_in_a_visit(after_everything: Outcome, real_data: Path) -> None:
    built = after_everything.built(
        "SELECT sum(pings) FROM intermediate.fct_store_visits WHERE source = 'hokuriku_pings'"
    )
    assert built.item() == hokuriku.pings(real_data).height


def test_devices_at_forty_venues_are_no_people(after_everything: Outcome, real_data: Path) -> None:
    flagged = after_everything.built(
        """
        SELECT DISTINCT device_id, customer_id, is_infrastructure
        FROM intermediate.fct_store_visits
        WHERE source = 'hokuriku_pings'
        """
    )
    infrastructure = hokuriku.infrastructure(real_data)
    assert {device for device, _, flag in flagged.iter_rows() if flag} == infrastructure
    assert {device for device, customer, _ in flagged.iter_rows() if customer is None} == infrastructure


# Web


def test_sessions_are_runs_of_a_persons_events(after_everything: Outcome, real_data: Path) -> None:
    people = dict(
        after_everything.built(
            """
            SELECT events.event_id, coalesce(assignments.customer_id, events.device_id)
            FROM staging.stg_app_events AS events LEFT JOIN assignments USING (identity_key)
            """
        ).iter_rows()
    )
    expected = snowplow.sessions(people, snowplow.events(real_data))
    built = after_everything.built("SELECT customer_id, started_at, ended_at, events FROM intermediate.fct_sessions")
    assert sorted(built.iter_rows()) == sorted(
        (person, run[0].occurred_at.replace(tzinfo=None), run[-1].occurred_at.replace(tzinfo=None), len(run))
        for person, runs in expected.items()
        for run in runs
    )


def test_sessions_agree_with_the_vendors_where_the_tracker_keeps_to_thirty_minutes(
    after_everything: Outcome, real_data: Path
) -> None:
    events = snowplow.events(real_data)
    users_of: dict[str | None, set[str | None]] = defaultdict(set)
    for event in events:
        users_of[event.cookie].add(event.user)
    plain = {cookie for cookie in snowplow.cookies_with_plain_sessions(events) if len(users_of[cookie]) == 1}
    compared = {c: n for c, n in snowplow.vendor_sessions_by_cookie(real_data).items() if c in plain}
    built = after_everything.built(
        """
        SELECT people.device_id, count(*)
        FROM intermediate.fct_sessions AS sessions
        JOIN (
            SELECT DISTINCT events.device_id, assignments.customer_id
            FROM staging.stg_app_events AS events JOIN assignments USING (identity_key)
        ) AS people USING (customer_id)
        GROUP BY ALL
        """
    )
    assert len(compared) >= 5
    assert {cookie: count for cookie, count in built.iter_rows() if cookie in compared} == compared


def test_a_signed_in_user_with_three_cookies_is_one_person_and_the_test_rig_is_not(
    after_everything: Outcome, real_data: Path
) -> None:
    customers: dict[str, set[str]] = defaultdict(set)
    for event, customer in after_everything.built(
        "SELECT event_id, customer_id FROM staging.stg_app_events JOIN assignments USING (identity_key)"
    ).iter_rows():
        customers[event].add(customer)
    raw = snowplow.deliveries(real_data).unique("event_id").select("event_id", "user_id", "domain_userid")
    rotating = raw.filter(pl.col("user_id") == "Rotating domain_userid per session")
    assert rotating["domain_userid"].n_unique() > 1
    assert len(set().union(*(customers[event] for event in rotating["event_id"]))) == 1
    rig = raw.filter(pl.col("user_id") == "consent_accel")
    people = set().union(*(customers[event] for event in rig["event_id"]))
    assert len(people) == rig["domain_userid"].n_unique() > 1


# What readers get


def test_no_check_of_a_healthy_run_fails(after_everything: Outcome, after_retail_year: Outcome) -> None:
    assert after_everything.run.failed_checks == ()
    assert after_retail_year.run.failed_checks == ()


def test_published_account_is_complete(after_everything: Outcome) -> None:
    audit = after_everything.read("SELECT * FROM marts.load_audit")
    assert sorted(audit["source"]) == [
        "completejourney_transactions",
        "completejourney_visits",
        "hokuriku_pings",
        "snowplow_events",
        "technion_calls",
    ]
    parts = audit.select(pl.sum_horizontal("rows_accepted", "rows_quarantined", "rows_duplicate")).to_series()
    assert parts.to_list() == audit["rows_read"].to_list()


def test_every_identified_customer_has_one_row(after_everything: Outcome) -> None:
    known = after_everything.built("SELECT DISTINCT customer_id FROM intermediate.fct_orders")["customer_id"]
    published = after_everything.read("SELECT customer_id FROM marts.customer_360")["customer_id"]
    assert published.n_unique() == published.len()
    assert set(known) <= set(published)


def test_customer_360_adds_up_to_the_revenue(
    after_everything: Outcome, receipts: dict[int, completejourney.Receipt]
) -> None:
    totals = after_everything.read("SELECT sum(net_revenue_amount), sum(orders) FROM marts.customer_360").row(0)
    assert (int(totals[0] * 100), totals[1]) == (
        sum(receipt.net_cents for receipt in receipts.values()),
        len(receipts),
    )


def test_published_file_holds_no_identifier(after_everything: Outcome, real_data: Path) -> None:
    devices = set(hokuriku.pings(real_data)["device"]) | {
        event.cookie for event in snowplow.events(real_data) if event.cookie
    }
    users = {event.user for event in snowplow.events(real_data) if event.user}
    columns = after_everything.read(
        """
        SELECT schema_name, table_name, column_name FROM duckdb_columns()
        WHERE data_type = 'VARCHAR' AND NOT internal
        """
    )
    assert columns.height > 10
    for schema, table, column in columns.iter_rows():
        values = after_everything.read(f'SELECT DISTINCT "{column}" AS v FROM "{schema}"."{table}"')["v"].drop_nulls()
        where = f"{schema}.{table}.{column}"
        assert not values.str.contains(r"(completejourney|technion):\d").any(), where
        hashes = values.str.extract_all(r"[0-9a-f]{64}").explode().drop_nulls()
        assert devices.isdisjoint(hashes), where
        assert users.isdisjoint(values), where


def test_a_run_for_an_earlier_day_keeps_the_customers_ids(
    after_everything: Outcome, after_retail_year: Outcome
) -> None:
    orders = f"SELECT order_id, customer_id FROM intermediate.fct_orders WHERE source = '{RETAIL}'"
    assert dict(after_everything.built(orders).iter_rows()) == dict(after_retail_year.built(orders).iter_rows())


def test_coming_back_from_an_earlier_day_gives_the_same_tables(after_everything: Outcome, back_again: Outcome) -> None:
    with duckdb.connect() as connection:
        for name, outcome in (("before", after_everything), ("after", back_again)):
            connection.execute(f"ATTACH '{outcome.published}' AS {name} (READ_ONLY)")
        tables = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'before' AND table_name <> 'publication'"
        ).fetchall()
        assert len(tables) > 10
        for (table,) in tables:
            for one, other in (("before", "after"), ("after", "before")):
                differing = connection.execute(
                    f"SELECT count(*) FROM (FROM {one}.marts.{table} EXCEPT ALL FROM {other}.marts.{table})"
                ).fetchone()
                assert differing == (0,), f"{table}: rows of the run {one} that the other does not have"


def test_an_earlier_as_of_knows_nothing_of_later_days(after_retail_year: Outcome) -> None:
    latest = after_retail_year.read("SELECT max(occurred_date) FROM marts.customer_timeline").item()
    assert latest <= END_OF_RETAIL_YEAR
    assert after_retail_year.read("SELECT as_of_date FROM marts.publication").item() == END_OF_RETAIL_YEAR
