"""Retention figures against plain Python: product limit by its definition, cohorts and moves by counting."""

from __future__ import annotations

import datetime as dt
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.dbt_project.compiled_models import compiled_models, empty_warehouse, put_table, run_models

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("compiled_models")]

AS_OF = dt.date(2025, 3, 31)
FIRST = dt.date(2024, 1, 15)
Z = 1.959963984540054
Purchases = Mapping[str, Sequence[dt.date]]

# Few different days, so that waits are often equal, as they are in life.
days = st.integers(0, (AS_OF - FIRST).days).map(lambda number: FIRST + dt.timedelta(number - number % 7))
companies = st.dictionaries(st.sampled_from("abcdefghij"), st.lists(days, min_size=1, max_size=4), min_size=1)


def frame(purchases: Purchases) -> pl.DataFrame:
    rows = {(customer, day) for customer, held in purchases.items() for day in held if day <= AS_OF}
    return pl.DataFrame(
        [{"customer_id": customer, "purchase_date": day, "currency": "EUR"} for customer, day in sorted(rows)],
        schema={"customer_id": pl.String, "purchase_date": pl.Date, "currency": pl.String},
    )


def modelled(purchases: Purchases, *tables: str) -> dict[str, list[dict]]:
    """Rows of the models by name."""
    bought = frame(purchases)
    orders = bought.select(
        "customer_id",
        pl.col("purchase_date").alias("order_date"),
        "currency",
        # Amounts that differ by customer and day.
        (pl.col("purchase_date").dt.day().cast(pl.Decimal(18, 2))).alias("net_amount"),
    )
    with empty_warehouse() as con:
        put_table(con, "intermediate.int_customer_purchase_days", bought)
        put_table(con, "intermediate.fct_orders", orders)
        run_models(con, compiled_models(AS_OF), *tables)
        found = {table: con.table(table).pl() for table in tables}
    return {table: rows.sort(rows.columns).to_dicts() for table, rows in found.items()}


def product_limit(waits: Sequence[tuple[int, bool]]) -> dict[int, tuple[float, float | None]]:
    """Kaplan and Meier's estimate and Greenwood's standard error by day, from the definition."""
    found: dict[int, tuple[float, float | None]] = {}
    survival, greenwood = 1.0, 0.0
    for day in sorted({wait for wait, _ in waits}):
        at_risk = sum(wait >= day for wait, _ in waits)
        events = sum(wait == day and came for wait, came in waits)
        survival *= 1 - events / at_risk
        greenwood = greenwood + events / (at_risk * (at_risk - events)) if events < at_risk else math.inf
        found[day] = (survival, survival * math.sqrt(greenwood) if math.isfinite(greenwood) else None)
    return found


def waits_of(purchases: Purchases) -> list[tuple[int, bool]]:
    found = []
    for held in purchases.values():
        first, *later = sorted(set(held))
        found.append(((later[0] if later else AS_OF) - first, bool(later)))
    return [(wait.days, came) for wait, came in found]


@hypothesis_settings(max_examples=30, deadline=None)
@given(purchases=companies)
# The last who is left comes back, after another was last seen: nobody is left, and no interval.
@example(purchases={"a": [FIRST, dt.date(2024, 8, 26)], "b": [dt.date(2024, 8, 26)]})
def test_survival_is_the_product_limit_with_greenwoods_error(purchases: Purchases) -> None:
    rows = modelled(purchases, "marts.survival_second_purchase")["marts.survival_second_purchase"]
    expected = product_limit(waits_of(purchases))
    assert [row["days_since_first_purchase"] for row in rows] == list(expected)
    for row, (survival, error) in zip(rows, expected.values(), strict=True):
        assert row["survival_rate"] == pytest.approx(survival, abs=1e-12)
        assert row["repurchased_share"] == pytest.approx(1 - survival, abs=1e-12)
        ends = (row["survival_low_rate"], row["survival_high_rate"])
        if error is None:
            assert row["standard_error"] is None and ends == (None, None)
        elif survival == 1:
            assert row["standard_error"] == 0 and ends == (1, 1)
        else:
            assert row["standard_error"] == pytest.approx(error, abs=1e-12)
            # On the scale of log(-log S), as Kalbfleisch and Prentice give it.
            width = Z * error / (survival * abs(math.log(survival)))
            assert ends == pytest.approx((survival ** math.exp(width), survival ** math.exp(-width)), abs=1e-12)


def test_survival_gives_the_published_figures_of_remission() -> None:
    """Freireich and others (1963), the treated group: S and its standard error as every textbook prints them."""
    weeks = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 34+ 35+"
    weeks += " 32+"
    purchases = {}
    for number, week in enumerate(weeks.split()):
        wait = dt.timedelta(int(week.rstrip("+")))
        purchases[f"c{number}"] = [AS_OF - wait] if week.endswith("+") else [FIRST, FIRST + wait]
    rows = modelled(purchases, "marts.survival_second_purchase")["marts.survival_second_purchase"]
    printed = {row["days_since_first_purchase"]: row for row in rows if row["second_purchases"]}
    assert [(day, round(row["survival_rate"], 3), round(row["standard_error"], 4)) for day, row in printed.items()] == [
        (6, 0.857, 0.0764),
        (7, 0.807, 0.0869),
        (10, 0.753, 0.0963),
        (13, 0.690, 0.1068),
        (16, 0.627, 0.1141),
        (22, 0.538, 0.1282),
        (23, 0.448, 0.1346),
    ]
    # R's survfit(conf.type = "log-log").
    assert printed[6]["survival_low_rate"] == pytest.approx(0.6197, abs=5e-5)
    assert printed[6]["survival_high_rate"] == pytest.approx(0.9516, abs=5e-5)


@hypothesis_settings(max_examples=15, deadline=None)
@given(purchases=companies)
def test_cohorts_are_counted_by_the_calendar(purchases: Purchases) -> None:
    rows = modelled(purchases, "marts.cohort_retention")["marts.cohort_retention"]
    months = {customer: [(day.year, day.month) for day in held] for customer, held in purchases.items()}
    sizes = Counter(min(held) for held in months.values())
    for row in rows:
        cohort = (row["cohort_month"].year, row["cohort_month"].month)
        month = (row["activity_month"].year, row["activity_month"].month)
        assert row["month_number"] == (month[0] - cohort[0]) * 12 + month[1] - cohort[1]
        assert row["cohort_customers"] == sizes[cohort]
        came = sum(min(held) == cohort and month in held for held in months.values())
        assert (row["active_customers"], row["retention_rate"]) == (came, came / sizes[cohort])
    # Every cohort has each of its months up to the last, which is over with as_of.
    assert len(rows) == sum((2025 - year) * 12 + 3 - month + 1 for year, month in sizes)


@hypothesis_settings(max_examples=8, deadline=None)
@given(purchases=companies)
def test_the_end_of_a_month_is_scored_as_the_run_of_that_day_would_have(purchases: Purchases) -> None:
    """A month end of the past is what customer_rfm says when the data end there."""
    tables = modelled(purchases, "intermediate.int_rfm_month_ends", "marts.rfm_migration")
    told = {
        (row["month_end_date"], row["customer_id"]): row["segment"] for row in tables["intermediate.int_rfm_month_ends"]
    }
    for end in (AS_OF, dt.date(2025, 2, 28), dt.date(2024, 3, 31)):
        known = {customer: [day for day in held if day <= end] for customer, held in purchases.items()}
        assert {customer: told.get((end, customer)) for customer in purchases} == {
            customer: segments_on(known, end).get(customer) for customer in purchases
        }
    moves = Counter(
        {
            (row["month_end_date"], row["from_segment"], row["to_segment"]): row["customers"]
            for row in tables["marts.rfm_migration"]
        }
    )
    ends = sorted({end for end, _ in told} | {dt.date(2024, 3, 31)})
    expected = Counter(
        (end, told.get((former, customer), "No Purchase"), segment)
        for (end, customer), segment in told.items()
        for former in [max((other for other in ends if other < end), default=None)]
        if former
    )
    assert moves == expected


def segments_on(purchases: Purchases, day: dt.date) -> dict[str, str]:
    """What customer_rfm says on a day."""
    bought = frame({customer: held for customer, held in purchases.items() if held})
    orders = bought.select(
        "customer_id",
        pl.col("purchase_date").alias("order_date"),
        "currency",
        (pl.col("purchase_date").dt.day().cast(pl.Decimal(18, 2))).alias("net_amount"),
    )
    with empty_warehouse() as con:
        put_table(con, "intermediate.int_customer_purchase_days", bought)
        put_table(con, "intermediate.fct_orders", orders)
        tables = ("intermediate.int_customer_value", "marts.rfm_cut_points", "marts.customer_rfm")
        run_models(con, compiled_models(day), *tables)
        return dict(con.execute("SELECT customer_id, segment FROM marts.customer_rfm").fetchall())


def test_the_order_of_rows_says_nothing() -> None:
    """Sums of logarithms are exact: the same customers in another order give the same digits."""
    chance = random.Random(5)
    purchases = {
        f"c{number}": [FIRST + dt.timedelta(chance.randrange(440)) for _ in range(chance.randrange(1, 4))]
        for number in range(400)
    }
    shuffled = dict(sorted(purchases.items(), key=lambda item: chance.random()))
    table = "marts.survival_second_purchase"
    assert modelled(purchases, table) == modelled(shuffled, table)
