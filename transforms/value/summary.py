"""From purchase days in the warehouse to one row per customer, and to the histories that customers share.

The purchase day is defined by dbt (``int_customer_purchase_days``); here days are only counted. All is one GROUP BY
that DuckDB can spill, and what Python gets are distinct histories with their counts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from transforms.sql import literal, scalars
from transforms.value.counting import counts_by_age
from transforms.value.diagnostics import FREQUENT_DAYS, RECENT_DAYS, Extent
from transforms.value.sample import Floats

DAYS = "purchase_days"
CUSTOMERS = "customers"
PROPENSITY_DAYS = 90


@dataclass(frozen=True)
class Window:
    """The days of a run: the first purchase day, the last that counts, and the cut before the days held out."""

    first: date
    as_of: date
    cut: date
    horizon_days: int

    @property
    def history_days(self) -> int:
        """Days from the first purchase to as_of."""
        return (self.as_of - self.first).days

    @property
    def holdout_days(self) -> int:
        """Days after the cut."""
        return (self.as_of - self.cut).days

    @property
    def lookback_days(self) -> int:
        """Days before as_of whose purchases are the naive forecast of the horizon."""
        return max(1, min(self.horizon_days, self.history_days))

    @property
    def training_days(self) -> int:
        """Days before the cut on which a learner that must not see the holdout is taught."""
        return max(1, min(self.holdout_days, (self.cut - self.first).days // 2))

    @property
    def propensity_days(self) -> int:
        """Days of the holdout over which P(buy) is judged."""
        return min(PROPENSITY_DAYS, self.holdout_days)


@dataclass(frozen=True)
class Histories:
    """Distinct purchase histories up to a day, in days, with the customers that share each.

    ``recent`` are purchase days in the days before it, ``later`` those in the days after it, ``bought`` whether there
    was one in the first of these.
    """

    x: Floats
    tx: Floats
    t: Floats
    recent: Floats
    weight: Floats
    later: Floats
    bought: Floats

    def one_in_many(self, customers: int) -> tuple[NDArray[np.intp], Histories]:
        """Rows with about so many customers in even steps, and their histories; all where there are no more."""
        ends = np.cumsum(self.weight)
        step = max(ends[-1] / customers, 1.0) if len(ends) else 1.0
        taken = np.searchsorted(ends, np.arange(0.5, ends[-1], step), side="left") if len(ends) else np.zeros(0)
        rows, weight = np.unique(taken.astype(np.intp), return_counts=True)
        kept = {field.name: getattr(self, field.name)[rows] for field in fields(self)}
        return rows, Histories(**kept | {"weight": weight.astype(np.float64)})


def read_purchase_days(connection: duckdb.DuckDBPyConnection, warehouse: Path, as_of: date) -> int:
    """Make the view ``purchase_days`` (customer_id, day, amount, currency) of days up to as_of.

    Returns how many rows lie later.

    :raises FileNotFoundError: if there is no warehouse.
    """
    if not warehouse.exists():
        raise FileNotFoundError(f"{warehouse}: no warehouse yet, run the dbt models that know purchase days first")
    connection.execute(f"ATTACH {literal(warehouse)} AS warehouse (READ_ONLY)")
    table = "warehouse.intermediate.int_customer_purchase_days"
    day = f"DATE {literal(as_of.isoformat())}"
    connection.execute(
        f"""CREATE TEMP VIEW {DAYS} AS
        SELECT customer_id, purchase_date AS day, net_amount AS amount, currency
        FROM {table} WHERE purchase_date <= {day} AND customer_id IS NOT NULL"""
    )
    (later,) = scalars(connection, f"SELECT count(*) FROM {table} WHERE purchase_date > {day}")
    return later


def find_window(connection: duckdb.DuckDBPyConnection, as_of: date, horizon_days: int) -> Window | None:
    """The days of a run over ``purchase_days``; None without any.

    The backtest is the task made smaller: the days held out are to those before them as the horizon is to the whole
    history, and at most as many. Else it would reward what is right in the short run, and what looks back less far
    than the run itself will.
    """
    (first,) = scalars(connection, f"SELECT min(day) FROM {DAYS}")
    if first is None:
        return None
    history = (as_of - first).days
    ahead = max(1, min(horizon_days, history))
    held_out = history * ahead // (history + ahead)
    return Window(first, as_of, as_of - timedelta(days=held_out), horizon_days)


def summarise(connection: duckdb.DuckDBPyConnection, window: Window) -> None:
    """Make the table ``customers``, one row each, of ``purchase_days``; days as whole numbers before as_of.

    :raises ValueError: if a customer has amounts in several currencies.
    """
    as_of = f"DATE {literal(window.as_of.isoformat())}"
    cut = window.holdout_days
    taught = cut + window.training_days
    code, currencies = _currency_codes(connection)
    codes = f"min({code}) AS code, max({code}) AS other" if len(currencies) > 1 else "1 AS code, 1 AS other"
    ranges = {
        "n": (0, None),
        "recent": (0, window.lookback_days),
        "cut_n": (cut, None),
        "cut_recent": (cut, 2 * cut),
        "bought": (cut - window.propensity_days, cut),
        "taught_n": (taught, None),
    }
    # A day has one row, or one for each currency, which is refused below.
    sums, counts = counts_by_age(ranges, (window.history_days + 1) * max(len(currencies), 1))
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {CUSTOMERS} AS
        SELECT customer_id, code, other, first, last, cut_last, taught_last, CAST(paid_days AS INTEGER) AS paid_days,
               CAST(paid AS DECIMAL(18, 2)) AS paid,
               {", ".join(f"{counted} AS {name}" for name, counted in counts.items() if name != "bought")},
               {counts["bought"]} > 0 AS bought
        FROM (
            SELECT customer_id, {codes}, max(age) AS first, min(age) AS last, count(paid) AS paid_days,
                   sum(paid) AS paid, min(CASE WHEN age >= {cut} THEN age END) AS cut_last,
                   min(CASE WHEN age >= {taught} THEN age END) AS taught_last,
                   {", ".join(f"{summed} AS {name}" for name, summed in sums.items())}
            FROM (
                SELECT customer_id, CAST({as_of} - day AS INTEGER) AS age, currency,
                       CASE WHEN amount > 0 THEN amount END AS paid
                FROM {DAYS}
            )
            GROUP BY customer_id
        )"""
    )
    mixed = connection.execute(
        f"SELECT customer_id, code, other FROM {CUSTOMERS} WHERE code <> other LIMIT 1"
    ).fetchone()
    if mixed:
        one, other = (currencies[place - 1] for place in mixed[1:])
        raise ValueError(
            f"int_customer_purchase_days: customer {mixed[0]} has amounts in {one} and {other}; unlike currencies are"
            " never added: give a rate in the seed exchange_rates"
        )


def _currency_codes(connection: duckdb.DuckDBPyConnection) -> tuple[str, list[str]]:
    """SQL that numbers a currency from 1, and the currencies in that order; also makes ``currencies`` (code, currency).

    Comparing texts for each row would cost as much as all counts of the summary together.
    """
    rows = connection.execute(f"SELECT DISTINCT currency FROM {DAYS} WHERE currency IS NOT NULL ORDER BY 1").fetchall()
    currencies = [currency for (currency,) in rows]
    codes = pa.array(range(1, len(currencies) + 1), pa.int32())
    connection.register("currencies", pa.table({"code": codes, "currency": pa.array(currencies, pa.string())}))
    return f"list_position([{', '.join(map(literal, currencies))}], currency)", currencies


def extent(connection: duckdb.DuckDBPyConnection, window: Window, at_cut: bool) -> Extent:
    """How much there is to learn from, up to as_of or up to the cut."""
    n, last, age = ("cut_n", "cut_last", window.holdout_days) if at_cut else ("n", "last", 0)
    counts = scalars(
        connection,
        f"""SELECT count(*), count(*) FILTER (WHERE {n} > 1), count(*) FILTER (WHERE {n} >= {FREQUENT_DAYS}),
                   count(*) FILTER (WHERE {last} < {age + RECENT_DAYS})
        FROM {CUSTOMERS} WHERE {n} > 0""",
    )
    return Extent(*counts[:3], history_days=window.history_days - age, recent_orders=counts[3])


def histories(connection: duckdb.DuckDBPyConnection, window: Window) -> Histories:
    """Histories up to as_of, with the purchase days of the lookback."""
    return _histories(connection, "n - 1", "first - last", "first", "recent", "0", "false", "n > 0")


def histories_at_cut(connection: duckdb.DuckDBPyConnection, window: Window) -> Histories:
    """Histories up to the cut, with what came in the days held out."""
    first = f"first - {window.holdout_days}"
    return _histories(
        connection, "cut_n - 1", "first - cut_last", first, "cut_recent", "n - cut_n", "bought", "cut_n > 0"
    )


def histories_to_teach(connection: duckdb.DuckDBPyConnection, window: Window) -> Histories:
    """Histories up to a day before the cut, with what came up to the cut."""
    first = f"first - {window.holdout_days + window.training_days}"
    return _histories(
        connection, "taught_n - 1", "first - taught_last", first, "0", "cut_n - taught_n", "false", "taught_n > 0"
    )


def _histories(
    connection: duckdb.DuckDBPyConnection,
    x: str,
    tx: str,
    t: str,
    recent: str,
    later: str,
    bought: str,
    where: str,
) -> Histories:
    # Sorted, so that sums do not depend on the order of rows.
    columns = connection.execute(
        f"""SELECT {x} AS x, {tx} AS tx, {t} AS t, {recent} AS recent, {later} AS later, {bought} AS bought,
                   count(*) AS weight
        FROM {CUSTOMERS} WHERE {where} GROUP BY ALL ORDER BY ALL"""
    ).fetchnumpy()
    return Histories(**{name: np.asarray(values, dtype=np.float64) for name, values in columns.items()})


def first_days(connection: duckdb.DuckDBPyConnection, window: Window) -> Floats:
    """Customers acquired on each day from the first to the cut."""
    days = (window.cut - window.first).days + 1
    rows = connection.execute(
        f"SELECT {window.history_days} - first AS day, count(*) AS customers FROM {CUSTOMERS} WHERE cut_n > 0"
        " GROUP BY 1"
    ).fetchnumpy()
    counts = np.zeros(days)
    counts[np.asarray(rows["day"], dtype=np.int64)] = rows["customers"]
    return counts


def repeat_orders_by_day(connection: duckdb.DuckDBPyConnection, window: Window) -> Floats:
    """Repeat purchase days of the customers acquired up to the cut, on each day from the first to as_of."""
    rows = connection.execute(
        f"""SELECT CAST(day - DATE {literal(window.first.isoformat())} AS INTEGER) AS day, count(*) AS orders
        FROM {DAYS} GROUP BY 1"""
    ).fetchnumpy()
    orders = np.zeros(window.history_days + 1)
    orders[np.asarray(rows["day"], dtype=np.int64)] = rows["orders"]
    # Of the customers acquired after the cut nothing counts.
    rows = connection.execute(
        f"""SELECT CAST(days.day - DATE {literal(window.first.isoformat())} AS INTEGER) AS day, count(*) AS orders
        FROM {DAYS} AS days JOIN {CUSTOMERS} AS late ON days.customer_id = late.customer_id AND late.cut_n = 0
        GROUP BY 1"""
    ).fetchnumpy()
    orders[np.asarray(rows["day"], dtype=np.int64)] -= rows["orders"]
    acquired = first_days(connection, window)
    orders[: len(acquired)] -= acquired
    return orders
