"""All public datasets together through the whole platform, once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable

import polars as pl
import pytest

from .comparing import one_to_one
from .conftest import UNPREDICTABLE, WHOLE_RUN, Gated, Outcome
from .oracles import online_retail

pytestmark = [pytest.mark.real_data, pytest.mark.long, pytest.mark.xdist_group("every_dataset")]

Raw = Callable[[str], pl.DataFrame]
Gate = Callable[[str], Gated]

# Its account depends on the day of the load: the gate refuses whoever is not born yet.
UNBORN = "fake_1000_profiles"


@pytest.fixture(scope="module")
def retail_lines(raw: Raw) -> Counter[online_retail.Line]:
    return online_retail.kept(online_retail.lines(raw(online_retail.FILE)))


def test_no_check_fails(every_dataset: Outcome) -> None:
    assert [check for check in every_dataset.run.failed_checks if check != UNPREDICTABLE] == []


def test_published_account_is_that_of_the_gate(every_dataset: Outcome, gated: Gate) -> None:
    audit = every_dataset.read(
        "SELECT source, rows_read, rows_accepted, rows_quarantined, rows_duplicate FROM marts.load_audit"
    )
    accounts = {source: tuple(account) for source, *account in audit.iter_rows()}
    assert all(read == sum(parts) for read, *parts in accounts.values())
    alone = set(accounts) - {*WHOLE_RUN, UNBORN}
    assert len(alone) == 14
    assert {source: accounts[source] for source in alone} == {source: gated(source).account for source in alone}


def test_invoices_and_their_net_amounts(every_dataset: Outcome, retail_lines: Counter[online_retail.Line]) -> None:
    expected: dict[str, int] = defaultdict(int)
    for line in retail_lines:
        expected[line.invoice] += line.pence
    built = every_dataset.built(
        """
        SELECT order_id, order_net_amount, order_currency
        FROM intermediate.fct_orders WHERE source = 'online_retail_lines'
        """
    )
    assert set(built["order_currency"]) == {"GBP"}
    net = built.select("order_id", (pl.col("order_net_amount") * 100).cast(pl.Int64))
    assert dict(net.iter_rows()) == expected


def test_buyers_are_told_apart_by_their_customer_number(
    every_dataset: Outcome, retail_lines: Counter[online_retail.Line]
) -> None:
    buyers = {line.invoice: line.customer for line in retail_lines}
    built = every_dataset.built(
        "SELECT order_id, customer_id FROM intermediate.fct_orders WHERE source = 'online_retail_lines'"
    )
    assert all((customer is None) == (buyers[order] is None) for order, customer in built.iter_rows())
    assert one_to_one((buyers[order], customer) for order, customer in built.iter_rows() if customer)


def test_sessions_of_the_web_shop_are_the_publishers(every_dataset: Outcome, raw: Raw) -> None:
    """The platform cuts after 30 minutes without an event, and knows nothing of the publisher's sessions."""
    expected = (
        raw("retentioneering_ecom/events.parquet")
        .unique()
        .group_by("session_id")
        .agg(
            pl.col("timestamp").str.to_datetime(time_unit="us").min().alias("first"),
            pl.col("timestamp").str.to_datetime(time_unit="us").max().alias("last"),
            pl.len(),
            (pl.col("event") == "product_view").sum().alias("views"),
            (pl.col("event") == "purchase").sum().alias("purchases"),
        )
        .drop("session_id")
    )
    built = every_dataset.built(
        """
        SELECT started_at, ended_at, events, product_views, purchases
        FROM intermediate.fct_sessions WHERE source = 'retentioneering_events'
        """
    )
    assert Counter(built.iter_rows()) == Counter(expected.iter_rows())


def test_marks_of_the_callers(every_dataset: Outcome, raw: Raw) -> None:
    marks = raw("pwc_callcentre/calls.parquet")["Satisfaction rating"].drop_nulls().cast(pl.Int64)
    published = every_dataset.read(
        "SELECT mean_satisfaction_score FROM marts.channel_summary WHERE channel = 'hotline'"
    )
    assert published.item() == pytest.approx(marks.sum() / marks.len(), rel=1e-12)


def test_published_file_holds_no_identifier_and_no_text_of_a_person(every_dataset: Outcome, raw: Raw) -> None:
    fake, febrl = raw("linkage/fake_1000.parquet"), raw("linkage/febrl3.parquet")
    secrets = {
        *fake["email"].drop_nulls(),
        *febrl["soc_sec_id"],
        *raw("chinese_reviews/waimai_10k.parquet")["review"],
        *raw("comcast_complaints/complaints.parquet")["Customer Complaint"],
    }
    prefixed = r"(completejourney|online_retail|servicenow|insteval|retentioneering):\w"
    columns = every_dataset.read(
        "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE data_type = 'VARCHAR' AND NOT internal"
    )
    for schema, table, column in columns.iter_rows():
        values = every_dataset.read(f'SELECT DISTINCT "{column}" AS v FROM "{schema}"."{table}"')["v"].drop_nulls()
        where = f"{schema}.{table}.{column}"
        assert not values.str.contains(prefixed).any(), where
        assert secrets.isdisjoint(values), where
