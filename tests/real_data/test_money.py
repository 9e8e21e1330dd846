"""Orders, purchase days, RFM and historic value of the grocery panel, household by household."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

import polars as pl
import pytest

from .comparing import RETAIL, cents, one_to_one
from .conftest import BUSINESS_ZONE, END_OF_RETAIL_YEAR, Outcome
from .oracles import completejourney

pytestmark = [pytest.mark.real_data, pytest.mark.slow, pytest.mark.xdist_group("public_runs")]


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
