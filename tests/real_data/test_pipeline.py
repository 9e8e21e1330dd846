"""What a reader of the published file can rely on after runs for several days."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import pytest

from .comparing import RETAIL
from .conftest import END_OF_RETAIL_YEAR, UNPREDICTABLE, Outcome
from .oracles import completejourney, hokuriku, snowplow

pytestmark = [pytest.mark.real_data, pytest.mark.slow, pytest.mark.xdist_group("public_runs")]


def test_no_check_of_a_healthy_run_fails(after_everything: Outcome, after_retail_year: Outcome) -> None:
    for outcome in (after_everything, after_retail_year):
        assert [check for check in outcome.run.failed_checks if check != UNPREDICTABLE] == []


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


@pytest.mark.long
def test_coming_back_from_an_earlier_day_gives_the_same_tables(after_everything: Outcome, back_again: Outcome) -> None:
    with duckdb.connect() as connection:
        for name, outcome in (("before", after_everything), ("after", back_again)):
            connection.execute(f"ATTACH '{outcome.published}' AS {name} (READ_ONLY)")
        tables = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'before'"
            # These tell of the runs themselves.
            " AND table_name NOT IN ('publication', 'segment_history', 'segment_changes', 'identity_quality')"
        ).fetchall()
        assert len(tables) > 10
        changes = "EXCLUDE (previous_as_of_date, customers_change, net_revenue_change_amount)"
        for (table,) in tables:
            columns = f"* {changes}" if table == "segment_summary" else "*"
            for one, other in (("before", "after"), ("after", "before")):
                differing = connection.execute(
                    f"SELECT count(*) FROM (SELECT {columns} FROM {one}.marts.{table}"
                    f" EXCEPT ALL SELECT {columns} FROM {other}.marts.{table})"
                ).fetchone()
                assert differing == (0,), f"{table}: rows of the run {one} that the other does not have"


def test_an_earlier_as_of_knows_nothing_of_later_days(after_retail_year: Outcome) -> None:
    latest = after_retail_year.read("SELECT max(occurred_date) FROM marts.customer_timeline").item()
    assert latest <= END_OF_RETAIL_YEAR
    assert after_retail_year.read("SELECT as_of_date FROM marts.publication").item() == END_OF_RETAIL_YEAR
