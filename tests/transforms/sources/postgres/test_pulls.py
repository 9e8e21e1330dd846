"""What a pull brings: all that is new, all that was committed late, and nothing that is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.transforms.sources.postgres.server import Postgres, TableShop

LATE = 'INSERT INTO {schema}.orders ("order") VALUES (7)'
MODES = ["append", "upsert"]


@pytest.fixture
def shop(tmp_path: Path, server: Postgres) -> TableShop:
    return TableShop(tmp_path, server, "append")


def test_each_pull_brings_what_is_new(shop: TableShop) -> None:
    shop.sell(1, 2, updated_at="now() - interval '3 hours'")
    assert shop.pull() == [2]
    shop.sell(3, updated_at="now() - interval '2 hours 30 minutes'")
    assert shop.pull() == [3]  # the two of the overlap with it
    shop.sell(4)
    shop.pull()
    shop.sell(5)
    assert shop.pull() == [2]
    assert shop.orders() == [1, 2, 3, 4, 5]


def test_a_pull_is_one_parquet_file_with_its_mark(shop: TableShop) -> None:
    shop.sell(1, updated_at="'2025-03-01 12:00:00.123456+02'")
    shop.pull()
    (file,) = shop.landed
    assert file.name.startswith("orders/2026-01-10T1200") and file.name.endswith("Z.parquet")
    assert file.state is not None
    assert file.state["cursor"] == ["updated_at", "timestamptz"]
    assert file.state["mark"]["value"] == "2025-03-01 10:00:00.123456+00"
    table = pq.read_table(file.path)
    assert table.num_rows == 1 and "updated_at" not in table.column_names  # ignored columns stay where they are


def test_as_long_as_nothing_changes_nothing_is_landed(shop: TableShop) -> None:
    shop.sell(1, 2)
    shop.pull()
    for _ in range(3):
        assert shop.pull() == []
    shop.execute("UPDATE {schema}.orders SET updated_at = updated_at")  # other places on disk, same rows
    assert shop.pull() == [] and len(shop.landed) == 1


def test_an_empty_table_brings_nothing(shop: TableShop) -> None:
    assert shop.pull() == [] and shop.landed == []
    shop.sell(1)
    assert shop.pull() == [1]


@pytest.mark.parametrize("properties", [{"overlap": "1h"}, {"cursorColumn": "xmin", "overlap": None}], ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_a_late_commit_is_found(tmp_path: Path, server: Postgres, mode: str, properties: dict[str, Any]) -> None:
    shop = TableShop(tmp_path, server, mode, **properties)
    shop.sell(1)
    with server.open_transaction(LATE.replace("{schema}", shop.schema)) as late:
        shop.sell(2)
        shop.pull()
        assert shop.orders() == [1, 2]
        late.commit()
    shop.pull()
    assert shop.orders() == [1, 2, 7]
    assert shop.pull() == []


def test_a_commit_later_than_the_overlap_is_lost_which_is_why_there_is_one(tmp_path: Path, server: Postgres) -> None:
    shop = TableShop(tmp_path, server, "append", overlap="0")
    with server.open_transaction(LATE.replace("{schema}", shop.schema)) as late:
        shop.sell(2)
        shop.pull()
        late.commit()
    shop.pull()
    assert shop.orders() == [2]


def test_a_late_commit_is_found_after_pulls_that_found_nothing(shop: TableShop) -> None:
    shop.sell(1)
    with shop.server.open_transaction(LATE.replace("{schema}", shop.schema)) as late:
        shop.sell(2)
        shop.pull()
        assert shop.pull() == []
        late.commit()
    shop.pull()
    assert shop.orders() == [1, 2, 7]


def test_a_date_typed_into_the_future_hides_nothing(shop: TableShop) -> None:
    shop.sell(1, updated_at="'2099-01-01'")
    shop.pull()
    shop.sell(2)
    shop.pull()
    assert shop.orders() == [1, 2]
    assert shop.pull() == []


def test_cursors_without_a_place_in_time_are_not_lost(shop: TableShop) -> None:
    shop.execute("ALTER TABLE {schema}.orders ALTER updated_at DROP NOT NULL")
    shop.sell(1)
    shop.sell(2, updated_at="'infinity'")
    shop.pull()
    shop.sell(3, updated_at="NULL")
    shop.sell(4, updated_at="'-infinity'")
    shop.sell(5, updated_at="'infinity'")
    shop.pull()
    assert shop.orders() == [1, 2, 3, 4, 5]
    assert shop.pull() == []


def test_a_table_of_nulls_only_is_pulled_when_it_changes(shop: TableShop) -> None:
    shop.execute("ALTER TABLE {schema}.orders ALTER updated_at DROP NOT NULL")
    shop.sell(1, updated_at="NULL")
    assert (shop.pull(), shop.pull()) == ([1], [])
    shop.sell(2, updated_at="NULL")
    assert shop.pull() == [2]


@pytest.mark.parametrize(
    ("kind", "overlap", "values"),
    [
        ("smallint", "10", ["-32768", "-32767", "32766", "32767"]),
        ("integer", "0", ["1", "2", "3", "4"]),
        ("bigint", "100", ["-9223372036854775808", "9", "10", "9223372036854775807"]),
        ("numeric(20,3)", "1", ["0.5", "1.125", "1.126", "NULL"]),
        ("numeric", "0", ["9", "10", "'NaN'", "11"]),
        ("date", "1d", ["'2025-01-01'", "'2025-01-02'", "'2025-01-01'", "'2025-01-03'"]),
        ("timestamp", "15m", ["'2025-01-01'", "'2025-01-02 00:00:00.000001'", "'2025-01-02'", "'infinity'"]),
    ],
)
def test_cursors_of_other_types(tmp_path: Path, server: Postgres, kind: str, overlap: str, values: list[str]) -> None:
    shop = TableShop(tmp_path, server, "append", cursorColumn="place", overlap=overlap)
    shop.execute(f"ALTER TABLE {{schema}}.orders ADD place {kind}")
    for order, value in enumerate(values):
        shop.sell(order, place=value)
        shop.pull()
        assert shop.pull() == []
    assert shop.orders() == [0, 1, 2, 3]


def test_xmin_sees_updates_that_no_column_tells_of(tmp_path: Path, server: Postgres) -> None:
    shop = TableShop(tmp_path, server, "upsert", cursorColumn="xmin", overlap=None)
    shop.sell(1, 2, 3, updated_at="'2025-01-01'")
    assert shop.pull() == [3]
    assert shop.pull() == []
    shop.execute('UPDATE {schema}.orders SET amount = 5 WHERE "order" = 2')
    assert shop.pull() == [1]
    shop.execute("VACUUM FREEZE {schema}.orders")
    assert shop.pull() == []


def test_xmin_of_another_cluster_begins_anew(tmp_path: Path, server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = TableShop(tmp_path, server, "upsert", cursorColumn="xmin", overlap=None)
    shop.sell(1, 2, 3)
    shop.pull()
    monkeypatch.setattr("transforms.sources.postgres.window._system", lambda _: "restored elsewhere")
    shop.sell(4)
    assert shop.pull() == [4]


def test_a_column_that_is_wanted_after_all_is_fetched_from_the_start(shop: TableShop) -> None:
    shop.execute("ALTER TABLE {schema}.orders ADD voucher text DEFAULT 'V1'")
    ignored = shop.document["schema"][0]["customProperties"][-1]["value"]
    ignored.append("voucher")
    shop.sign(shop.document)
    shop.sell(1, 2, updated_at="'2025-01-01'")
    shop.sell(3)
    shop.pull()
    ignored.remove("voucher")
    mapping = {"name": "payment_token", "physicalName": "voucher", "logicalType": "string"}
    shop.document["schema"][0]["properties"].append(mapping)
    shop.sign(shop.document)
    shop.load()
    assert pq.read_table(shop.landed[-1].path).column("voucher").to_pylist() == ["V1", "V1", "V1"]
    assert shop.pull() == []


def test_another_cursor_begins_anew(shop: TableShop) -> None:
    shop.sell(1, updated_at="'2025-01-01'")
    shop.sell(2)
    shop.pull()
    properties = {item["property"]: item for item in shop.document["servers"][0]["customProperties"]}
    properties["cursorColumn"]["value"] = "order"
    properties["overlap"]["value"] = 0
    shop.sign(shop.document)
    assert shop.pull() == [2]
    assert shop.state is not None and shop.state["mark"]["value"] == "2"


def test_names_that_must_be_quoted(tmp_path: Path, server: Postgres) -> None:
    name = """Bobby's "Order" Lines; DROP TABLE x --"""
    shop = TableShop(tmp_path, server, "append", table=name, cursorColumn='Last "Change"')
    quoted = name.replace('"', '""')
    shop.execute(
        f'ALTER TABLE {{schema}}.orders RENAME TO "{quoted}"',
        f'ALTER TABLE {{schema}}."{quoted}" RENAME updated_at TO "Last ""Change"""',
        f'INSERT INTO {{schema}}."{quoted}" ("order") VALUES (1)',
    )
    assert (shop.pull(), shop.pull()) == ([1], [])
    assert shop.orders() == [1]


@pytest.mark.parametrize("properties", [{"overlap": "1h"}, {"cursorColumn": "xmin", "overlap": None}], ids=str)
def test_a_replica_is_as_good_as_the_server(tmp_path: Path, server: Postgres, properties: dict[str, Any]) -> None:
    shop = TableShop(tmp_path, server, "append", **properties)
    shop.sell(1)
    with server.replica() as replica:
        shop.document["servers"][0]["port"] = replica.port
        shop.sign(shop.document)
        with server.open_transaction(LATE.replace("{schema}", shop.schema)) as late:
            shop.sell(2)
            replica.wait_until(f'SELECT 1 FROM {shop.schema}.orders WHERE "order" = 2')
            assert shop.pull() == [2]
            late.commit()
        replica.wait_until(f'SELECT 1 FROM {shop.schema}.orders WHERE "order" = 7')
        shop.pull()
        assert shop.orders() == [1, 2, 7]
        assert shop.pull() == []


@pytest.mark.parametrize("kind", ["VIEW", "MATERIALIZED VIEW"])
def test_a_view_is_as_good_as_a_table(tmp_path: Path, server: Postgres, kind: str) -> None:
    shop = TableShop(tmp_path, server, "append", table="sold")
    shop.sell(1)
    shop.execute(f"CREATE {kind} {{schema}}.sold AS SELECT * FROM {{schema}}.orders WHERE kind = 'sale'")
    assert shop.pull() == [1]


def test_a_partitioned_table_is_pulled_whole(tmp_path: Path, server: Postgres) -> None:
    shop = TableShop(tmp_path, server, "append", cursorColumn="xmin", overlap=None)
    shop.execute(
        "DROP TABLE {schema}.orders",
        'CREATE TABLE {schema}.orders ("order" int, line text, "time" timestamptz, kind text, qty int, amount numeric,'
        ' discount numeric, mail text) PARTITION BY HASH ("order")',
        "CREATE TABLE {schema}.orders_0 PARTITION OF {schema}.orders FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
        "CREATE TABLE {schema}.orders_1 PARTITION OF {schema}.orders FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    )
    row = "'1', '2025-01-01', 'sale', 1, 1, 0, NULL"
    shop.execute(f"INSERT INTO {{schema}}.orders SELECT g, {row} FROM generate_series(1, 10) AS g")
    assert shop.pull() == [10]
    shop.execute(f"INSERT INTO {{schema}}.orders SELECT g, {row} FROM generate_series(11, 12) AS g")
    assert shop.pull() == [2]
