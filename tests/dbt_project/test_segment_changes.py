"""Why a segment changed, against a walk in plain Python; and the logs that this rests on, in any order of runs."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.dbt_project.compiled_models import put_table
from tests.dbt_project.project import ANY_DAY, ANY_LAKE, DBT_PROJECT, compiled
from tests.dbt_project.test_value_rfm_real_data import GRID

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dbt_project")]

LOGS = {
    "int_rfm_log": "as_of_date DATE, customer_id VARCHAR, currency VARCHAR, segment VARCHAR, last_purchase_date DATE,"
    " window_purchase_days BIGINT, window_net_revenue_amount DECIMAL(18, 2)",
    "int_rfm_rule_log": "as_of_date DATE, measure VARCHAR, currency VARCHAR, cut BIGINT, value DECIMAL(18, 2),"
    " mode VARCHAR",
    "int_purchase_owner_log": "as_of_date DATE, identity_key VARCHAR, customer_id VARCHAR",
}
TABLES = (
    *("intermediate.int_customer_value", "marts.rfm_cut_points", "marts.customer_rfm", "intermediate.int_rfm_log"),
    *("intermediate.int_rfm_rule_log", "intermediate.int_purchase_owner_log", "intermediate.int_segments_before"),
    *("intermediate.int_segment_candidates", "intermediate.int_segment_steps", "marts.segment_changes"),
)
FIRST = dt.date(2025, 3, 1)
DAYS = [FIRST + dt.timedelta(30 * number) for number in range(4)]
WINDOW = dt.timedelta(365)


@functools.cache
def models(logs_exist: bool) -> Mapping[str, str]:
    """SQL of the models by name, for any day, before or after the first run."""
    logs = "; ".join(f"CREATE TABLE intermediate.{log} ({columns})" for log, columns in LOGS.items())
    tables = f"CREATE SCHEMA intermediate; {logs}" if logs_exist else ""
    return compiled(*(table.split(".")[1] for table in TABLES), tables=tables)


@contextmanager
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("ATTACH ':memory:' AS warehouse; USE warehouse")
        connection.execute("CREATE SCHEMA intermediate; CREATE SCHEMA marts")
        seeds = f"read_csv('{DBT_PROJECT}/seeds/rfm_segment_grid.csv', header = true)"
        connection.execute(f"CREATE TABLE intermediate.rfm_segment_grid AS FROM {seeds}")
        connection.execute(
            "CREATE TABLE intermediate.rfm_fixed_cut_points"
            " (measure VARCHAR, currency VARCHAR, cut BIGINT, value DECIMAL(18, 2))"
        )
        yield connection


@dataclass(frozen=True)
class Order:
    """An order: when, how much, by which identifiers, and from which run on it is known."""

    key: str
    day: dt.date
    amount: int
    known_from: int = 0


Owners = Mapping[str, str]


def run(
    connection: duckdb.DuckDBPyConnection, folder: Path, number: int, orders: Sequence[Order], owners: Owners
) -> list[tuple]:
    """Run day ``number`` as dbt does; returns the rows of segment_changes."""
    day = DAYS[number]
    known = [order for order in orders if order.day <= day and order.known_from <= number]
    rows = pl.DataFrame(
        [(owners[o.key], o.day, o.amount) for o in known],
        schema={"customer_id": pl.String, "order_date": pl.Date, "net_amount": pl.Decimal(18, 2)},
        orient="row",
    ).with_columns(currency=pl.lit("EUR"))
    put_table(connection, "intermediate.fct_orders", rows)
    days = rows.select("customer_id", pl.col("order_date").alias("purchase_date"), "currency").unique()
    put_table(connection, "intermediate.int_customer_purchase_days", days)
    present = pl.DataFrame({"customer_id": sorted(set(owners.values()))}, schema={"customer_id": pl.String})
    put_table(connection, "intermediate.int_customer_channels", present)
    keys = sorted({order.key for order in known})
    pairs = pl.DataFrame(
        {"identity_key": keys, "customer_id": [owners[key] for key in keys]},
        schema={"identity_key": pl.String, "customer_id": pl.String},
    )
    put_table(connection, "intermediate.int_purchase_owners", pairs)
    current = folder / "identity" / "current"
    current.mkdir(parents=True, exist_ok=True)
    aliases = {key: owner for key, owner in owners.items() if key != owner}
    pl.DataFrame(
        {"old_customer_id": list(aliases), "customer_id": list(aliases.values())},
        schema={"old_customer_id": pl.String, "customer_id": pl.String},
    ).write_parquet(current / "aliases.parquet")
    exists = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'int_rfm_log'").fetchone()
    known = models(exists == (1,))
    for table in TABLES:
        name = table.split(".")[1]
        sql = known[name].replace(ANY_DAY, day.isoformat()).replace(ANY_LAKE, str(folder))
        if name in LOGS and exists == (1,):
            connection.execute(f"CREATE OR REPLACE TEMP TABLE new_lines AS {sql}")
            connection.execute(f"DELETE FROM {table} WHERE as_of_date IN (SELECT as_of_date FROM new_lines)")
            connection.execute(f"INSERT INTO {table} BY NAME FROM new_lines")
        else:
            connection.execute(f"CREATE OR REPLACE TABLE {table} AS {sql}")
    return connection.execute(
        "SELECT customer_id, previous_as_of_date, from_segment, to_segment, cause, other_causes"
        " FROM marts.segment_changes ORDER BY ALL"
    ).fetchall()


Values = tuple[int, int, int]  # recency, frequency, monetary
Cuts = tuple[list[int], list[int], list[int]]


def values_on(day: dt.date, until: dt.date, orders: Sequence[tuple[str, dt.date, int]]) -> dict[str, Values | None]:
    """What each customer who bought until then is scored by on a day; None where all lies before the window."""
    found: dict[str, Values | None] = {}
    for customer in {customer for customer, bought, _ in orders if bought <= until}:
        held = [(bought, amount) for owner, bought, amount in orders if owner == customer and bought <= until]
        window = [(bought, amount) for bought, amount in held if bought > day - WINDOW]
        last = max(bought for bought, _ in held)
        days = {bought for bought, _ in window}
        found[customer] = ((day - last).days, len(days), sum(amount for _, amount in window)) if days else None
    return found


def cuts_of(values: Mapping[str, Values | None]) -> Cuts:
    """Cut points by sorting."""
    columns = list(zip(*[one for one in values.values() if one], strict=True)) or [(), (), ()]
    cuts = [
        [sorted(column)[-(-cut * len(column) // 5) - 1] for cut in range(1, 5)] if column else [] for column in columns
    ]
    return (cuts[0], cuts[1], cuts[2])


def segment(values: Values | None, cuts: Cuts) -> str:
    """The cell of the grid; without cut points nobody who bought in the window has a segment."""
    if values is None:
        return "Lapsed"
    if not cuts[0]:
        return "No Purchase"
    recency, frequency, monetary = values
    r = 1 + sum(cut > recency for cut in cuts[0])
    f = 1 + sum(cut < frequency for cut in cuts[1])
    m = 1 + sum(cut < monetary for cut in cuts[2])
    return GRID[r - 1][(f + m + 1) // 2 - 1]


def expected_changes(number: int, before: int, orders: Sequence[Order], then: Owners, now: Owners) -> list[tuple]:
    """The walk from one build to the other, customer by customer."""
    day, former_day = DAYS[number], DAYS[before]
    known_then = [(then[o.key], o.day, o.amount) for o in orders if o.day <= former_day and o.known_from <= before]
    known_now = [(now[o.key], o.day, o.amount) for o in orders if o.day <= day and o.known_from <= number]
    keys_then = {o.key for o in orders if o.day <= former_day and o.known_from <= before}
    touched = {one for key in keys_then if then[key] != now[key] for one in (then[key], now[key])}
    said = values_on(former_day, former_day, known_then)
    cuts_then, today = cuts_of(said), values_on(day, day, known_now)
    # Of a window without a purchase there are no cut points: nobody's segment hangs on them, and none has moved.
    cuts_now = cuts_of(today) if any(today.values()) else cuts_then
    revised, aged = values_on(former_day, former_day, known_now), values_on(day, former_day, known_now)
    found = []
    for customer in sorted(set(now.values())):
        # Of those who became this customer the own segment counts, else that of the least id.
        ids = [customer, *sorted(key for key, owner in now.items() if owner == customer and key != customer)]
        speaker = next((one for one in ids if one in said), None)
        path = [
            segment(said[speaker], cuts_then) if speaker else "No Purchase",
            segment(said[speaker], cuts_now) if speaker else "No Purchase",
            segment(revised[customer], cuts_now) if customer in revised else "No Purchase",
            segment(aged[customer], cuts_now) if customer in aged else "No Purchase",
            segment(today[customer], cuts_now) if customer in today else "No Purchase",
        ]
        if path[0] == path[-1]:
            continue
        names = [
            "cut_points_moved",
            "identity_changed" if customer in touched else "new_data",
            *("time_passed", "new_data"),
        ]
        causes = [name for name, one, other in zip(names, path, path[1:], strict=False) if one != other]
        others = [cause for cause in causes[:-1] if cause != causes[-1]]
        found.append((customer, former_day, path[0], path[-1], causes[-1], ", ".join(others) or None))
    return found


KEYS = tuple("abcdefgh")
orders_of_a_company = st.lists(
    st.builds(
        Order,
        key=st.sampled_from(KEYS),
        day=st.sampled_from([FIRST + dt.timedelta(number) for number in (-400, -340, -300, -100, -20, 0, 15, 45, 80)]),
        amount=st.integers(1, 5),
        known_from=st.sampled_from([0, 0, 0, 1, 2]),
    ),
    min_size=4,
    max_size=24,
)
merges = st.sampled_from([{}, {}, {"b": "a"}, {"a": "b", "c": "b"}, {"h": "d"}])


# By the last day nothing that anybody bought is within the window.
LONG_AGO = [
    *[Order("a", FIRST - dt.timedelta(400), 1)] * 2,
    *(Order(key, FIRST - dt.timedelta(340), amount) for key, amount in (("a", 2), ("b", 1))),
]

# Nobody bought in the window of either day, so there are no cut points; then an order of within the first one is told.
TOLD_LATE = [
    *[Order("a", FIRST - dt.timedelta(400), 1)] * 3,
    Order("b", FIRST - dt.timedelta(340), 1, known_from=1),
]


@hypothesis_settings(max_examples=20, deadline=None)
@given(orders=orders_of_a_company, merged=merges)
@example(orders=LONG_AGO, merged={})
@example(orders=TOLD_LATE, merged={})
def test_the_cause_is_that_of_a_walk_in_plain_python(
    tmp_path_factory: pytest.TempPathFactory, orders: list[Order], merged: dict[str, str]
) -> None:
    apart = {key: key for key in KEYS}
    together = apart | merged
    folder = tmp_path_factory.getbasetemp()
    with warehouse() as connection:
        assert run(connection, folder, 0, orders, apart) == []
        assert run(connection, folder, 1, orders, apart) == expected_changes(1, 0, orders, apart, apart)
        assert run(connection, folder, 3, orders, together) == expected_changes(3, 1, orders, apart, together)


@hypothesis_settings(max_examples=8, deadline=None)
@given(orders=orders_of_a_company, order=st.permutations([0, 1, 2, 3]), again=st.sampled_from([0, 1, 2]))
def test_the_logs_depend_on_the_days_that_were_run_and_not_on_their_order(
    tmp_path_factory: pytest.TempPathFactory, orders: list[Order], order: list[int], again: int
) -> None:
    owners = {key: key for key in KEYS}
    folder = tmp_path_factory.getbasetemp()
    kept = []
    for numbers in (range(4), [*order, again, 3]):
        with warehouse() as connection:
            changes = [run(connection, folder, number, orders, owners) for number in numbers][-1]
            logs = [connection.execute(f"FROM intermediate.{log} ORDER BY ALL").fetchall() for log in LOGS]
            kept.append((logs, changes))
    assert kept[0] == kept[1]


def test_a_log_grows_by_what_changed(tmp_path: Path) -> None:
    """Of a day on which one customer bought, and nobody's purchase left the window, the log holds that customer."""
    orders = [Order(key, FIRST - dt.timedelta(10), 3) for key in KEYS] + [Order("a", DAYS[1], 4)]
    owners = {key: key for key in KEYS}
    with warehouse() as connection:
        run(connection, tmp_path, 0, orders, owners)
        run(connection, tmp_path, 1, orders, owners)
        lines = connection.execute(
            "SELECT customer_id, window_purchase_days FROM intermediate.int_rfm_log WHERE as_of_date = ? ORDER BY ALL",
            [DAYS[1]],
        ).fetchall()
        keys = connection.execute(
            "SELECT identity_key FROM intermediate.int_purchase_owner_log WHERE as_of_date = ?", [DAYS[1]]
        ).fetchall()
    assert ("a", 2) in lines and (None, None) in lines
    # Whose segment alone changed, because the others' cut points moved, has a line too; the owner log has none.
    assert keys == [(None,)]
