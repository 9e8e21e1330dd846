"""The lake against the table: what is current in one is what the other holds, whatever happened in between."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from adbc_driver_postgresql.dbapi import Connection

from tests.killing import Moments, start
from tests.transforms.sources.postgres.server import Postgres, TableShop
from transforms.contracts import SourceContract
from transforms.lake.load import load_source
from transforms.settings import Settings

CURSORS = [{"overlap": "1h"}, {"cursorColumn": "xmin", "overlap": None}]
SAME = "SELECT CAST(order_id AS INT), CAST(gross_amount AS VARCHAR) FROM current ORDER BY 1"


def table(shop: TableShop) -> list[tuple[Any, ...]]:
    return shop.server.query(f'SELECT "order", amount::text FROM {shop.schema}.orders ORDER BY 1')


@pytest.mark.parametrize("properties", CURSORS, ids=str)
def test_an_update_replaces_the_row_and_keeps_its_history(
    tmp_path: Path, server: Postgres, properties: dict[str, Any]
) -> None:
    shop = TableShop(tmp_path, server, "upsert", **properties)
    shop.sell(1, 2)
    shop.pull()
    for amount in ("5.00", "6.00"):
        shop.execute(
            f'UPDATE {{schema}}.orders SET amount = {amount}, updated_at = clock_timestamp() WHERE "order" = 2'
        )
        shop.pull()
    assert shop.query(SAME) == [(1, "9.90"), (2, "6.00")] == table(shop)
    history = "SELECT CAST(gross_amount AS VARCHAR) FROM accepted WHERE order_id = '2' ORDER BY _loaded_at"
    assert shop.query(history) == [("9.90",), ("5.00",), ("6.00",)]


def test_a_row_that_goes_back_to_what_it_was_is_current_again(tmp_path: Path, server: Postgres) -> None:
    shop = TableShop(tmp_path, server, "upsert", cursorColumn="xmin", overlap=None)
    shop.sell(1)
    for amount in ("9.90", "5.00", "9.90"):
        shop.execute(f"UPDATE {{schema}}.orders SET amount = {amount}")
        shop.pull()
        assert shop.query(SAME) == [(1, amount)]


def test_a_snapshot_deletes_what_is_gone(tmp_path: Path, server: Postgres) -> None:
    shop = TableShop(tmp_path, server, "snapshot")
    shop.sell(*range(10))
    assert shop.pull() == [10]
    assert shop.pull() == []
    shop.execute(
        'DELETE FROM {schema}.orders WHERE "order" = 4', 'UPDATE {schema}.orders SET amount = 1 WHERE "order" = 5'
    )
    assert shop.pull() == [9]
    assert shop.query(SAME) == table(shop) and len(table(shop)) == 9
    shop.sell(4)
    shop.pull()
    assert shop.query(SAME) == table(shop) and len(table(shop)) == 10


def test_a_table_that_goes_back_to_what_it_was_is_no_repeat(tmp_path: Path, server: Postgres) -> None:
    shop = TableShop(tmp_path, server, "snapshot")
    shop.sell(*range(10))
    for amount in ("9.90", "5.00", "9.90"):
        shop.execute(f'UPDATE {{schema}}.orders SET amount = {amount} WHERE "order" = 3')
        assert shop.pull() == [10]
        assert shop.query(SAME) == table(shop)


def test_an_emptied_table_is_held_for_a_person(tmp_path: Path, server: Postgres) -> None:
    shop = TableShop(tmp_path, server, "snapshot")
    shop.sell(*range(40))
    shop.pull()
    shop.execute("TRUNCATE {schema}.orders")
    report = shop.load()
    assert [record.status for record in report.loaded] == ["held"]
    assert len(shop.query(SAME)) == 40


LONGEST = 8  # minutes that a transaction stays open at most


def steps(seed: int, number: int) -> Iterator[tuple[Any, ...]]:
    """Steps of a shop's life: a pull, or what a connection does; 0 to 2 are transactions that stay open for a while."""
    dice = random.Random(seed)
    for _ in range(number):
        kind = dice.choices(["pull", "insert", "update", "commit", "rollback"], [5, 6, 6, 1, 1])[0]
        if kind == "pull":
            yield (kind,)
        elif kind in {"commit", "rollback"}:
            yield kind, dice.randrange(3)
        else:
            yield kind, dice.choice([-1, -1, 0, 1, 2]), dice.randrange(9)


class Life:
    """Random inserts, updates, late commits and rollbacks, a minute apart; -1 is a connection that commits at once.

    As with now(), each change bears the minute in which its transaction began; none stays open longer than LONGEST.
    """

    def __init__(self, shop: TableShop):
        self.shop, self.orders, self.minute = shop, 0, 0
        self.open: dict[int, tuple[Connection, int]] = {}

    def step(self, kind: str, place: int = -1, order: int = 0) -> None:
        self.minute += 1
        for overdue in [p for p, (_, began) in self.open.items() if self.minute - began >= LONGEST]:
            self._end(overdue, "commit")
        if kind == "pull":
            self.shop.pull()
        elif kind == "insert":
            self._run(place, f'INSERT INTO {{s}}.orders ("order", amount, updated_at) VALUES ({self.orders}, 1, {{t}})')
            self.orders += 1
        elif kind == "update":
            self._run(
                place,
                f'UPDATE {{s}}.orders SET amount = amount + 1, updated_at = {{t}} WHERE "order" = {order}'
                # Somebody else's open change of the same row would make us wait for ever.
                f' AND "order" IN (SELECT "order" FROM {{s}}.orders WHERE "order" = {order} FOR UPDATE SKIP LOCKED)',
            )
        else:
            self._end(place, kind)

    def _end(self, place: int, kind: str) -> None:
        if place in self.open:
            connection, _ = self.open.pop(place)
            connection.commit() if kind == "commit" else connection.rollback()
            connection.close()

    def _run(self, place: int, statement: str) -> None:
        statement = statement.replace("{s}", self.shop.schema)
        if place < 0:
            self.shop.server.execute(statement.replace("{t}", self._moment(self.minute)))
            return
        if place not in self.open:
            # A snapshot of its own for each statement, as is PostgreSQL's default.
            self.open[place] = self.shop.server.connect(), self.minute
        connection, began = self.open[place]
        with connection.cursor() as cursor:
            cursor.execute(statement.replace("{t}", self._moment(began)))

    def _moment(self, minute: int) -> str:
        return f"timestamptz '2025-03-01 00:00+00' + interval '{minute} minutes'"

    def end(self) -> None:
        for place in list(self.open):
            self._end(place, "commit")
        self.shop.pull()


@pytest.mark.slow
@pytest.mark.parametrize(
    "properties", [{"overlap": f"{LONGEST}m"}, {"cursorColumn": "xmin", "overlap": None}], ids=["updated_at", "xmin"]
)
@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_the_lake_ends_as_the_table(
    tmp_path: Path, server: Postgres, properties: dict[str, Any], seed: int
) -> None:
    shop = TableShop(tmp_path, server, "upsert", **properties)
    life = Life(shop)
    try:
        for step in steps(seed, 100):
            life.step(*step)
    finally:
        life.end()
    assert len(table(shop)) > 10
    assert shop.query(SAME) == table(shop)
    assert shop.pull() == []


KILLS = {"upsert": 20, "snapshot": 10}


def _load(settings: Settings, contract: SourceContract) -> None:
    report = load_source(settings, contract)
    assert not report.unreadable, report.unreadable


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(KILLS))
def test_kills_during_pulls_leave_the_same_lake(tmp_path: Path, server: Postgres, mode: str) -> None:
    shop = TableShop(tmp_path, server, mode)
    many = 'INSERT INTO {schema}.orders ("order", mail) SELECT g, repeat(md5(g::text), 9) FROM generate_series'
    shop.execute(many + "(1, 50000) AS g")
    moments = Moments(5, 1)
    kills = attempt = 0
    while kills < KILLS[mode]:
        process = start(_load, shop.settings, shop.contract)
        # Half of them from the moment on when the server is at work for it.
        if attempt % 2:
            server.wait_until("SELECT 1 FROM pg_stat_activity WHERE application_name = 'watershed'")
        kills += moments.kill(process)
        attempt += 1
        shop.execute(
            f'UPDATE {{schema}}.orders SET amount = {attempt}, updated_at = now() WHERE "order" = {attempt + 1}'
        )
    shop.now = shop.now.replace(year=2027)  # the killed ones had the machine's own clock
    shop.pull()
    assert shop.query(SAME) == table(shop)
    assert shop.query("SELECT count(*) FROM quarantine") == [(0,)]
    assert shop.pull() == []
