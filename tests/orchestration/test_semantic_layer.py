"""MetricFlow gives the marts' own numbers, from the published file alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pytest

from tests.conftest import PROJECT
from tests.orchestration.conftest import Installation
from tests.orchestration.metrics import Metrics, Row, rows_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("installation")]


@dataclass(frozen=True)
class Comparison:
    """Metrics by dimensions, and SQL of a person for the same; by and metrics are its columns."""

    metrics: str
    by: str
    sql: str


CHANNEL_METRICS = {
    "channel_touchpoints": "touchpoints",
    "anonymous_touchpoints": "anonymous_touchpoints",
    "anonymous_share": "anonymous_touchpoints / touchpoints",
    "channel_orders": "orders",
    "channel_returned_orders": "returned_orders",
    "channel_return_rate": "return_rate",
    "channel_net_revenue": "net_revenue_amount",
    "channel_currencies": "(currency IS NOT NULL)::INT",
    "channel_sessions": "sessions",
    "channel_visits": "visits",
    "channel_calls": "calls",
    "identified_calls": "identified_calls",
    "offered_calls": "offered_calls",
    "answered_calls": "answered_calls",
    "abandoned_calls": "abandoned_calls",
    "short_abandons": "short_abandons",
    "abandon_rate_queued": "abandon_rate_queued",
    "abandon_rate_offered_excl_short": "abandon_rate_offered_excl_short",
    "service_level_rate": "service_level_rate",
    "asa_seconds": "asa_seconds",
    "asa_waited_seconds": "asa_waited_seconds",
    "aht_seconds": "aht_seconds",
    "fcr_rate": "fcr_rate",
    "repeat_contacts": "repeat_contacts",
    "repeat_contact_rate": "repeat_contact_rate",
    "channel_complaints": "complaints",
    "mean_satisfaction_score": "mean_satisfaction_score",
    "mean_dwell_seconds": "mean_dwell_seconds",
}
# Where a table says the same in another way than the metric reads it, that other way is taken.
COMPARISONS = {
    "segments": Comparison(
        "customers window_net_revenue mean_clv",
        "customer__segment",
        "SELECT segment AS customer__segment, sum(customers) AS customers,"
        # Nobody of this segment is in customer_rfm, which the metric reads.
        " sum(CASE WHEN segment <> 'No Purchase' THEN net_revenue_amount END) AS window_net_revenue,"
        " max(mean_clv_amount) AS mean_clv FROM warehouse.marts.segment_summary GROUP BY segment",
    ),
    "funnel": Comparison(
        "customers customers_ever_in_stage stage_conversion_rate median_days_to_next_stage",
        "stage",
        "SELECT stage, CASE WHEN customers_now > 0 THEN customers_now END AS customers,"
        " customers_ever AS customers_ever_in_stage, conversion_rate AS stage_conversion_rate,"
        " median_days_to_next AS median_days_to_next_stage FROM warehouse.marts.journey_funnel",
    ),
    "channels": Comparison(
        " ".join(CHANNEL_METRICS),
        "channel",
        "SELECT channel, "
        + ", ".join(f"{sql} AS {name}" for name, sql in CHANNEL_METRICS.items())
        + " FROM warehouse.marts.channel_summary",
    ),
    "known customers by channel": Comparison(
        "touchpoints active_customers",
        "channel",
        "SELECT channel, touchpoints - anonymous_touchpoints AS touchpoints, customers AS active_customers"
        " FROM warehouse.marts.channel_summary WHERE customers > 0",
    ),
    "touchpoints by segment": Comparison(
        "touchpoints orders sessions store_visits calls",
        "customer__segment",
        "SELECT segment AS customer__segment, sum(touchpoints) AS touchpoints, sum(orders) AS orders,"
        " sum(sessions) AS sessions, sum(visits) AS store_visits, sum(calls) AS calls"
        " FROM warehouse.marts.customer_360 GROUP BY segment",
    ),
    "revenue": Comparison(
        "net_revenue amount_currencies historic_clv clv_currencies",
        "",
        "SELECT sum(net_revenue_amount) AS net_revenue, 1 AS amount_currencies, 1 AS clv_currencies,"
        " sum(historic_clv_amount) AS historic_clv FROM warehouse.marts.customer_360",
    ),
    "revenue by month": Comparison(
        "net_revenue average_order_value",
        "metric_time__month",
        "SELECT date_trunc('month', occurred_date) AS metric_time__month, sum(amount) AS net_revenue,"
        " avg(amount) FILTER (touchpoint_type = 'order') AS average_order_value"
        " FROM warehouse.marts.customer_timeline GROUP BY 1",
    ),
    "customers": Comparison(
        "buyers buyer_share multi_channel_customers multi_channel_share mostly_online_customers mostly_online_share"
        " customer_returned_orders customer_return_rate customer_complaints contacts_per_100_orders",
        "",
        "SELECT max(buyers) AS buyers, max(buyers) / count(*) AS buyer_share,"
        " count(*) FILTER (is_multi_channel) AS multi_channel_customers,"
        " multi_channel_customers / count(*) AS multi_channel_share,"
        " count(*) FILTER (is_mostly_online) AS mostly_online_customers,"
        " mostly_online_customers / count(*) AS mostly_online_share,"
        " sum(returned_orders) AS customer_returned_orders, sum(returned_orders) / sum(orders) AS customer_return_rate,"
        " sum(complaints) AS customer_complaints, 100 * sum(calls) / sum(orders) AS contacts_per_100_orders"
        " FROM warehouse.marts.customer_360, (SELECT count(*) AS buyers FROM warehouse.marts.customer_clv) AS clv",
    ),
    "orders and calls of customers": Comparison(
        "customer_orders customer_calls",
        "",
        "SELECT count(*) FILTER (touchpoint_type = 'order') AS customer_orders,"
        " count(*) FILTER (touchpoint_type = 'call') AS customer_calls FROM warehouse.marts.customer_timeline",
    ),
    "first contacts by month": Comparison(
        "new_customers",
        "metric_time__month",
        "SELECT month_start_date::TIMESTAMP AS metric_time__month, count(DISTINCT customer_id) AS new_customers"
        " FROM warehouse.marts.calendar LEFT JOIN warehouse.marts.customer_360 ON first_seen_at::DATE = date_day"
        " GROUP BY 1",
    ),
    "value": Comparison(
        "predicted_clv expected_purchase_days mean_p_alive mean_recency_days",
        "customer__r_score",
        "SELECT r_score AS customer__r_score, sum(predicted_clv_amount) AS predicted_clv,"
        " sum(predicted_orders) AS expected_purchase_days, avg(p_alive) AS mean_p_alive,"
        " avg(recency_days) AS mean_recency_days FROM warehouse.marts.customer_360 GROUP BY 1",
    ),
    "the RFM window": Comparison(
        "window_buyers window_repeat_buyers repurchase_rate window_purchase_days window_currencies",
        "",
        "SELECT buyers AS window_buyers, repeat_buyers AS window_repeat_buyers, repurchase_rate,"
        " (SELECT sum(purchase_days) FROM warehouse.marts.customer_360 WHERE segment <> 'Lapsed') -"
        # Of those who bought in the window, the purchase days before it.
        " (SELECT sum(c.historic_orders - r.purchase_days) FROM warehouse.marts.customer_clv AS c"
        " JOIN warehouse.marts.customer_rfm AS r USING (customer_id) WHERE r.segment <> 'Lapsed')"
        " AS window_purchase_days, 1 AS window_currencies"
        " FROM warehouse.marts.repurchase_rates WHERE window_end_date = as_of_date",
    ),
    "who is leaving": Comparison(
        "leaving_customers value_at_stake leaving_currencies",
        "customer__leaving_stage",
        "SELECT journey_stage AS customer__leaving_stage, count(*) AS leaving_customers,"
        " sum(coalesce(c.predicted_clv_amount, r.net_revenue_amount)) AS value_at_stake, 1 AS leaving_currencies"
        " FROM warehouse.marts.customer_360 AS c JOIN warehouse.marts.customer_rfm AS r USING (customer_id)"
        " WHERE journey_stage IN ('at_risk', 'dormant') GROUP BY 1",
    ),
    "why segments changed": Comparison(
        "segment_changers",
        "",
        # Nothing where one day alone was run, and nothing is not zero to a sum.
        "SELECT sum(1) AS segment_changers FROM warehouse.marts.segment_changes",
    ),
    "days in stage": Comparison(
        "mean_days_in_stage",
        "customer__journey_stage",
        "SELECT journey_stage AS customer__journey_stage, avg(as_of_date - journey_since_date + 1) AS"
        " mean_days_in_stage FROM warehouse.marts.customer_360 GROUP BY 1",
    ),
    "entries": Comparison(
        "stage_entries",
        "stay__reason",
        "SELECT reason_code AS stay__reason, count(*) AS stage_entries"
        " FROM warehouse.marts.customer_journey_history GROUP BY 1",
    ),
    "moves": Comparison(
        "stage_moves win_backs",
        "metric_time__month",
        # Every stay but the first began with a move.
        "WITH stays AS (SELECT *, lag(stage) OVER (PARTITION BY customer_id ORDER BY valid_from_date) AS before"
        " FROM warehouse.marts.customer_journey_history)"
        " SELECT date_trunc('month', valid_from_date) AS metric_time__month, count(*) AS stage_moves,"
        " count(*) FILTER (before IN ('dormant', 'churned') AND stage IN ('purchase', 'use', 'loyalty', 'advocacy'))"
        " AS win_backs FROM stays WHERE before IS NOT NULL GROUP BY 1",
    ),
    "stays in segments": Comparison(
        "segment_entries customers_ever_in_segment",
        "segment_stay__segment",
        "SELECT segment AS segment_stay__segment, count(*) AS segment_entries,"
        " count(DISTINCT customer_id) AS customers_ever_in_segment"
        " FROM warehouse.marts.segment_history GROUP BY segment",
    ),
    "loads": Comparison(
        "files files_refused rows_read rows_accepted rows_quarantined rows_duplicate quarantine_rate",
        "load__source",
        "SELECT source AS load__source, count(*) AS files,"
        " count(*) FILTER (status IN ('rejected', 'held')) AS files_refused, sum(rows_read) AS rows_read,"
        " sum(rows_accepted) AS rows_accepted, sum(rows_quarantined) AS rows_quarantined,"
        " sum(rows_duplicate) AS rows_duplicate, sum(rows_quarantined) / nullif(sum(rows_read), 0) AS quarantine_rate"
        " FROM warehouse.marts.load_audit GROUP BY 1",
    ),
    "quarantine": Comparison(
        "records_waiting",
        "quarantined_record__source",
        "SELECT source AS quarantined_record__source, count(*) AS records_waiting"
        " FROM warehouse.marts.quarantine GROUP BY 1",
    ),
}
# What accumulates is compared on the last day, below.
ACCUMULATING = {"customers_to_date", "active_customers_30_days"}


@pytest.fixture(scope="module")
def metrics(installation: Installation) -> Metrics:
    return Metrics(installation.settings.home / "dbt" / "semantic_manifest.json")


@pytest.fixture(scope="module")
def marts(installation: Installation) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published file, where the metrics look for the warehouse."""
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{installation.settings.published}' AS warehouse (READ_ONLY)")
        yield connection


def to_read(metrics: Metrics) -> set[str]:
    """Names of the metrics that are meant to be read, not to be parts of others."""
    return {
        name
        for name, metric in metrics.definitions.items()
        if not (metric["config"]["meta"] or {}).get("helper", False)
    }


def same(found: list[Row], expected: list[Row], keys: list[str]) -> None:
    """Compare by key; figures that are binary fractions up to their last digits, means of amounts to the cent."""

    def by_key(rows: list[Row]) -> dict[tuple, Row]:
        return {tuple(str(row[key]) for key in keys): row for row in rows}

    there, here = by_key(expected), by_key(found)
    assert set(here) == set(there)
    for key, row in here.items():
        for name in set(row) - set(keys):
            tolerance = 0.005001 if name == "mean_clv" else 1e-9
            assert _figure(row[name]) == _figure(there[key][name], tolerance), f"{name} of {key}"


def _figure(value: Any, tolerance: float | None = None) -> Any:
    if value is None:
        return None
    return float(value) if tolerance is None else pytest.approx(float(value), rel=1e-9, abs=tolerance)


@pytest.mark.parametrize("name", COMPARISONS)
def test_metrics_are_the_marts_own_numbers(name: str, metrics: Metrics, marts: duckdb.DuckDBPyConnection) -> None:
    comparison = COMPARISONS[name]
    by = comparison.by.split()
    expected = rows_of(marts, comparison.sql)
    assert expected and set(expected[0]) == {*comparison.metrics.split(), *by}
    same(metrics.ask(marts, *comparison.metrics.split(), by=by), expected, by)


def test_metrics_accumulate_over_the_calendar(metrics: Metrics, marts: duckdb.DuckDBPyConnection) -> None:
    days = metrics.ask(marts, *sorted(ACCUMULATING), by=["metric_time__day"])
    calendar = rows_of(marts, "SELECT date_day FROM warehouse.marts.calendar ORDER BY ALL")
    assert [str(row["metric_time__day"])[:10] for row in days] == [str(row["date_day"]) for row in calendar]
    (last,) = rows_of(
        marts,
        "SELECT (SELECT count(*) FROM warehouse.marts.customer_360) AS customers_to_date,"
        " count(DISTINCT customer_id) AS active_customers_30_days FROM warehouse.marts.customer_timeline"
        " WHERE occurred_date > (SELECT as_of_date - 30 FROM warehouse.marts.publication)",
    )
    assert {name: days[-1][name] for name in ACCUMULATING} == last
    grown = [row["customers_to_date"] or 0 for row in days]
    assert grown == sorted(grown) and grown[0] < grown[-1]


def test_each_metric_is_compared_described_and_documented(metrics: Metrics) -> None:
    compared = {metric for comparison in COMPARISONS.values() for metric in comparison.metrics.split()}
    readable = to_read(metrics)
    assert compared | ACCUMULATING == readable
    assert [
        name for name, metric in metrics.definitions.items() if not (metric["label"] and metric["description"])
    ] == []
    documented = set(re.findall(r"^\| `(\w+)` \|", (PROJECT / "docs" / "semantic_layer.md").read_text(), flags=re.M))
    assert documented == readable


@pytest.fixture
def two_currencies(installation: Installation) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published tables of value, in which every third customer pays in yen."""
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{installation.settings.published}' AS published (READ_ONLY)")
        connection.execute("ATTACH ':memory:' AS warehouse; CREATE SCHEMA warehouse.marts")
        for table in ("customer_360", "customer_timeline", "customer_rfm", "customer_clv", "journey_funnel"):
            connection.execute(f"CREATE TABLE warehouse.marts.{table} AS FROM published.marts.{table}")
        for table in ("customer_360", "customer_timeline", "customer_rfm", "customer_clv"):
            connection.execute(
                f"UPDATE warehouse.marts.{table} SET currency = 'JPY'"
                " WHERE currency IS NOT NULL AND hash(customer_id) % 3 = 0"
            )
        yield connection


@pytest.mark.parametrize(
    ("metric", "currency"),
    [
        ("net_revenue", "touchpoint__amount_currency"),
        ("average_order_value", "touchpoint__amount_currency"),
        ("window_net_revenue", "customer__rfm_currency"),
        ("historic_clv", "customer__clv_currency"),
        ("mean_clv", "customer__clv_currency"),
    ],
)
def test_unlike_currencies_are_never_added(
    metric: str, currency: str, metrics: Metrics, two_currencies: duckdb.DuckDBPyConnection
) -> None:
    assert metrics.ask(two_currencies, metric) == [{metric: None}]
    found = {row[currency]: row[metric] for row in metrics.ask(two_currencies, metric, by=[currency])}
    assert found.keys() >= {"EUR", "JPY"} and found["EUR"] and found["JPY"] and found["EUR"] != found["JPY"]


def test_rates_without_numerators_stand_for_one_stage_or_channel(
    metrics: Metrics, marts: duckdb.DuckDBPyConnection
) -> None:
    assert metrics.ask(marts, "stage_conversion_rate", "median_days_to_next_stage") == [
        {"stage_conversion_rate": None, "median_days_to_next_stage": None}
    ]
    # Only the hotline has a service level: over all channels it is the hotline's.
    (row,) = metrics.ask(marts, "service_level_rate")
    (hotline,) = rows_of(marts, "SELECT service_level_rate FROM warehouse.marts.channel_summary WHERE calls > 0")
    assert row == hotline and row["service_level_rate"] > 0
