"""Staging reads each key in the version that counted at the end of the as_of day, whatever came later and when."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.dbt_project.project import ANY_DAY, ANY_LAKE, compiled
from tests.transforms.lake.shop import Shop, contract_document, csv_file, line

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dbt_project")]

BERLIN = ZoneInfo("Europe/Berlin")
FIRST, LAST = dt.date(2025, 3, 1), dt.date(2025, 3, 12)
# Both sides of midnight in Berlin, as UTC.
HOURS = (0, 10, 22, 23)
KEYS = "abcd"
random_histories = hypothesis_settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@functools.cache
def staging() -> str:
    """SQL of ``stg_transactions`` as dbt compiles it, for any day and lake."""
    return compiled("stg_transactions", timezone="Europe/Berlin")["stg_transactions"]


def shop_of(folder: Path, **properties: Any) -> Shop:
    document = contract_document()
    document["schema"][0]["customProperties"] += [
        {"property": name, "value": value} for name, value in {"quarantineBlockRate": 1, **properties}.items()
    ]
    return Shop(folder, document)


def days() -> Iterator[dt.date]:
    yield from (FIRST + dt.timedelta(number) for number in range((LAST - FIRST).days + 1))


def seen(shop: Shop) -> dict[dt.date, dict[str, str]]:
    """Amount of each key that staging shows, for each day."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = {}
        for day in days():
            sql = staging().replace(ANY_DAY, day.isoformat()).replace(ANY_LAKE, str(shop.settings.lake))
            rows = connection.execute(f"SELECT order_id, CAST(gross_amount AS VARCHAR) FROM ({sql})").fetchall()
            assert len(rows) == len(dict(rows)), f"a key twice on {day}: {sorted(rows)}"
            found[day] = dict(rows)
    return found


def business_day(moment: dt.datetime) -> dt.date:
    return moment.astimezone(BERLIN).date()


moments = st.builds(
    lambda day, hour: dt.datetime.combine(FIRST, dt.time(hour), dt.UTC) + dt.timedelta(day),
    st.integers(0, (LAST - FIRST).days),
    st.sampled_from(HOURS),
)


def amount(number: int) -> str:
    return f"{number}.00"


@random_histories
@given(data=st.data())
def test_versions_with_a_moment_in_any_order_of_arrival(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    versions = data.draw(
        st.lists(st.tuples(st.sampled_from(KEYS), moments), min_size=1, max_size=14, unique=True), label="versions"
    )
    shop = shop_of(tmp_path_factory.mktemp("shop"), loadMode="upsert", latestBy="ordered_at")
    numbered = list(enumerate(versions, start=1))
    while numbered:
        size = data.draw(st.integers(1, len(numbered)), label="rows in the file")
        rows = [
            line(key, time=moment.strftime("%Y-%m-%dT%H:%M:%S"), amount=amount(number))
            for number, (key, moment) in numbered[:size]
        ]
        shop.deliver(csv_file(*rows), f"{len(numbered):02}.csv")
        numbered = numbered[size:]
        if data.draw(st.booleans(), label="load now"):
            shop.load()
    shop.load()
    amounts = {version: amount(number) for number, version in enumerate(versions, start=1)}
    expected: dict[dt.date, dict[str, str]] = {}
    for day in days():
        known = sorted((moment, key) for key, moment in versions if business_day(moment) <= day)
        expected[day] = {key: amounts[key, moment] for moment, key in known}
    assert seen(shop) == expected


@random_histories
@given(data=st.data())
@pytest.mark.parametrize("mode", ["by arrival", "by number"])
def test_versions_without_a_moment_count_since_they_came(
    tmp_path_factory: pytest.TempPathFactory, mode: str, data: Any
) -> None:
    """By number, the version with the greatest number that has come counts, even where a lesser one comes later."""
    latest_by = {"by arrival": "_received_at", "by number": "quantity"}[mode]
    shop = shop_of(tmp_path_factory.mktemp("shop"), loadMode="upsert", latestBy=latest_by)
    arrivals = sorted(data.draw(st.lists(moments, min_size=1, max_size=8, unique=True), label="arrivals"))
    numbers = iter(data.draw(st.permutations(range(1, 40)), label="numbers"))
    came: list[tuple[dt.date, str, int]] = []
    for turn, arrival in enumerate(arrivals):
        keys = data.draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=3), label="keys")
        rows = [(key, next(numbers)) for key in keys]
        came += [(business_day(arrival), key, number) for key, number in rows]
        lines = [line(key, time="2025-02-01T10:00:00", qty=str(n), amount=amount(n)) for key, n in rows]
        shop.deliver(csv_file(*lines), f"{turn}.csv")
        shop.now = arrival
        shop.load()
    expected: dict[dt.date, dict[str, str]] = {}
    for day in days():
        known = [(key, number) for arrived, key, number in came if arrived <= day]
        expected[day] = {key: amount(number) for key, number in (known if mode == "by arrival" else sorted(known))}
        if mode == "by number":
            expected[day] = {key: amount(max(n for k, n in known if k == key)) for key in expected[day]}
    assert seen(shop) == expected


@random_histories
@given(data=st.data())
def test_snapshots_hold_since_the_day_in_their_name_in_any_order_of_arrival(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    shop = shop_of(
        tmp_path_factory.mktemp("shop"),
        loadMode="snapshot",
        maxDeletedShare=1,
        deliveredAt="CAST(strptime(_file, 'stock_%Y-%m-%d.csv') AS DATE)",
    )
    states = data.draw(
        st.dictionaries(
            st.sampled_from(list(days())),
            st.dictionaries(st.sampled_from(KEYS), st.integers(1, 3), min_size=1),
            min_size=1,
        ),
        label="states",
    )
    for day in data.draw(st.permutations(sorted(states)), label="order of arrival"):
        rows = [line(key, time="2025-02-01T10:00:00", amount=amount(number)) for key, number in states[day].items()]
        shop.deliver(csv_file(*rows), f"stock_{day}.csv")
        if data.draw(st.booleans(), label="load now"):
            shop.load()
    assert shop.load().balances
    expected: dict[dt.date, dict[str, str]] = {}
    state: dict[str, int] = {}
    for day in days():
        state = states.get(day, state)
        expected[day] = {key: amount(number) for key, number in state.items()}
    assert seen(shop) == expected


def test_a_version_from_the_future_does_not_hide_the_present_one(tmp_path: Path) -> None:
    """A slip in a year must not take the record out of every table until then."""
    shop = shop_of(tmp_path, loadMode="upsert", latestBy="ordered_at")
    shop.deliver(csv_file(line("a", time="2025-03-02T10:00:00", amount="1.00")), "a.csv")
    shop.deliver(csv_file(line("a", time="2205-03-02T10:00:00", amount="2.00")), "b.csv")
    shop.load()
    assert seen(shop)[LAST] == {"a": "1.00"}


def test_a_corrected_snapshot_of_an_earlier_day_corrects_that_day_alone(tmp_path: Path) -> None:
    shop = shop_of(
        tmp_path,
        loadMode="snapshot",
        maxDeletedShare=1,
        deliveredAt="CAST(strptime(_file, 'stock_%Y-%m-%d.csv') AS DATE)",
    )
    old = {"time": "2025-02-01T10:00:00"}
    shop.deliver(csv_file(line("a", amount="1.00", **old), line("b", amount="1.00", **old)), "stock_2025-03-02.csv")
    shop.deliver(csv_file(line("a", amount="3.00", **old)), "stock_2025-03-05.csv")
    shop.load()
    shop.deliver(csv_file(line("a", amount="2.00", **old)), "stock_2025-03-02.csv")
    shop.load()
    found = seen(shop)
    assert (found[dt.date(2025, 3, 1)], found[dt.date(2025, 3, 4)]) == ({}, {"a": "2.00"})
    assert found[dt.date(2025, 3, 5)] == {"a": "3.00"}


def test_a_file_whose_name_tells_no_moment_is_refused_with_the_way_out(tmp_path: Path) -> None:
    shop = shop_of(tmp_path, loadMode="snapshot", deliveredAt="CAST(strptime(_file, 'stock_%Y-%m-%d.csv') AS DATE)")
    shop.deliver(csv_file(line("a")), "stock_final.csv")
    (record,) = shop.load().rejected
    assert record.reason == "deliveredAt: the name does not tell the moment; rename the file, or mend the expression"
