"""The segment history depends on the days that were run and what they said, not on their order or number of times."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.dbt_project.compiled_models import put_table
from tests.dbt_project.project import ANY_DAY, ANY_LAKE, compiled

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dbt_project")]

FIRST = dt.date(2025, 3, 1)
DAYS = [FIRST + dt.timedelta(number) for number in range(8)]
CUSTOMERS = ("A", "B", "C", "D")
LOG = "warehouse.intermediate.int_segment_log"
Segments = Mapping[str, str]

segments = st.dictionaries(st.sampled_from(CUSTOMERS), st.sampled_from(["Champions", "Lost", "Lapsed"]))
runs = st.lists(st.tuples(st.sampled_from(DAYS), segments), min_size=1, max_size=10)


@functools.cache
def models(log_exists: bool) -> Mapping[str, str]:
    """SQL of the log and of the mart by name, for any day, before or after the first run."""
    log = "CREATE SCHEMA intermediate; CREATE TABLE intermediate.int_segment_log"
    columns = "(as_of_date DATE, customer_id VARCHAR, segment VARCHAR)"
    return compiled("int_segment_log", "segment_history", tables=f"{log} {columns}" if log_exists else "")


@contextmanager
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("ATTACH ':memory:' AS warehouse; USE warehouse")
        connection.execute("CREATE SCHEMA intermediate; CREATE SCHEMA marts")
        yield connection


def run(connection: duckdb.DuckDBPyConnection, day: dt.date, said: Segments) -> None:
    """Run a day as dbt's delete+insert does."""
    rows = pl.DataFrame(
        {"customer_id": list(said), "segment": list(said.values())},
        schema_overrides=dict.fromkeys(("customer_id", "segment"), pl.String),
    )
    put_table(connection, "marts.customer_rfm", rows)
    exists = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'int_segment_log'").fetchone()
    sql = models(exists == (1,))["int_segment_log"].replace(ANY_DAY, day.isoformat())
    if exists == (0,):
        connection.execute(f"CREATE TABLE {LOG} AS {sql}")
        return
    connection.execute(f"CREATE OR REPLACE TEMP TABLE new_lines AS {sql}")
    connection.execute(f"DELETE FROM {LOG} WHERE as_of_date IN (SELECT as_of_date FROM new_lines)")
    connection.execute(f"INSERT INTO {LOG} FROM new_lines")


def history(
    connection: duckdb.DuckDBPyConnection, as_of: dt.date, aliases: Mapping[str, str], present: Any, folder: Path
) -> list[tuple[Any, ...]]:
    """Rows of the mart."""
    lake = folder / "identity" / "current"
    lake.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(
        {"old_customer_id": list(aliases), "customer_id": list(aliases.values())},
        schema=dict.fromkeys(("old_customer_id", "customer_id"), pl.String),
    ).write_parquet(lake / "aliases.parquet")
    put_table(connection, "intermediate.int_customer_channels", pl.DataFrame({"customer_id": list(present)}))
    sql = models(True)["segment_history"].replace(ANY_DAY, as_of.isoformat()).replace(ANY_LAKE, str(folder))
    return connection.execute(f"SELECT * FROM ({sql}) ORDER BY ALL").fetchall()


def by_day(rows: list[tuple[Any, ...]], as_of: dt.date) -> dict[tuple[str, dt.date], str]:
    """Segment by customer and day; a day that two rows claim is an error."""
    found: dict[tuple[str, dt.date], str] = {}
    for customer, segment, start, end, length in rows:
        last = end or as_of
        assert length == (last - start).days + 1 > 0
        for number in range(length):
            key = (customer, start + dt.timedelta(number))
            assert key not in found
            found[key] = segment
    return found


def told(said: Mapping[dt.date, Segments], day: dt.date) -> Segments:
    """What the last run on or before a day said."""
    earlier = [other for other in said if other <= day]
    return said[max(earlier)] if earlier else {}


@hypothesis_settings(max_examples=30, deadline=None)
@given(runs=runs, as_of=st.sampled_from(DAYS))
def test_every_day_shows_what_its_last_run_said(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[dt.date, Segments]], as_of: dt.date
) -> None:
    with warehouse() as connection:
        for day, said in runs:
            run(connection, day, said)
        log = connection.execute(f"FROM {LOG} ORDER BY ALL").fetchall()
        rows = history(connection, as_of, {}, CUSTOMERS, tmp_path_factory.getbasetemp())
    last = dict(runs)
    expected = {
        (customer, day): segment for day in DAYS if day <= as_of for customer, segment in told(last, day).items()
    }
    assert by_day(rows, as_of) == expected
    # Whatever is current is what the run of the day said.
    assert {row[0]: row[1] for row in rows if row[3] is None} == dict(told(last, as_of))
    with warehouse() as connection:
        for day in sorted(last):
            run(connection, day, last[day])
        assert connection.execute(f"FROM {LOG} ORDER BY ALL").fetchall() == log


@hypothesis_settings(max_examples=30, deadline=None)
@given(runs=runs, aliases=st.sampled_from([{"B": "A"}, {"A": "D"}, {"B": "A", "C": "A"}, {"C": "B", "A": "D"}]))
def test_who_was_merged_has_one_segment_a_day_under_the_id_of_today(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[dt.date, Segments]], aliases: dict[str, str]
) -> None:
    present = [customer for customer in CUSTOMERS if customer not in aliases]
    with warehouse() as connection:
        for day, said in runs:
            run(connection, day, said)
        rows = history(connection, DAYS[-1], aliases, present, tmp_path_factory.getbasetemp())
    expected = {}
    for day in DAYS:
        state = told(dict(runs), day)
        for survivor in present:
            merged = sorted(old for old, customer in aliases.items() if customer == survivor)
            held = [state[customer] for customer in (survivor, *merged) if customer in state]
            if held:
                expected[survivor, day] = held[0]
    assert by_day(rows, DAYS[-1]) == expected


def test_a_customer_of_the_past_whom_nobody_knows_today_is_left_out(tmp_path: Path) -> None:
    with warehouse() as connection:
        run(connection, FIRST, {"A": "Lost", "gone": "Champions"})
        rows = history(connection, FIRST, {}, ["A"], tmp_path)
    assert rows == [("A", "Lost", FIRST, None, 1)]
