"""Other tools write into the folder while loads run: in the end every record is in the lake once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.transforms.lake import pushing_tool
from tests.transforms.lake.shop import Shop, contract_document


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, contract_document("json"))


def lines(*orders: int) -> bytes:
    return "".join(pushing_tool.LINE % (order, "a@b.example") for order in orders).encode()


def append(shop: Shop, content: bytes, name: str = "app.jsonl") -> None:
    path = shop.settings.incoming / "shop" / name
    with path.open("ab") as stream:
        stream.write(content)
    later = path.stat().st_mtime + 1
    os.utime(path, (later, later))


def orders(shop: Shop) -> list[int]:
    return [int(row[0]) for row in shop.query("SELECT order_id FROM accepted ORDER BY CAST(order_id AS INTEGER)")]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_every_record_of_a_busy_tool_is_there_once(shop: Shop, seed: int) -> None:
    folder, records = shop.settings.incoming / "shop", 4_000
    tool = subprocess.Popen([sys.executable, pushing_tool.__file__, str(folder), str(records), str(seed)])
    loads = 0
    while tool.poll() is None:
        assert shop.load().balances
        loads += 1
    assert tool.returncode == 0 and loads > 3
    report = shop.load()
    assert orders(shop) == list(range(records))
    assert shop.reasons() == [] and report.unreadable == {} and report.balances
    assert [record.file for record in report.rejected] == []
    assert shop.load().loaded == ()


def test_a_growing_file_brings_its_new_lines_only(shop: Shop) -> None:
    for first in (0, 10, 20):
        append(shop, lines(*range(first, first + 10)))
        (record,) = shop.load().loaded
        assert (record.rows_read, record.rows_accepted, record.rows_duplicate) == (first + 10, 10, first)
    assert orders(shop) == list(range(30))


def test_half_a_line_waits_for_its_other_half_and_is_then_no_fault(shop: Shop) -> None:
    whole = lines(1, 2)
    append(shop, whole[:-20])
    report = shop.load()
    assert [record.file for record in report.rejected] == ["app.jsonl"]
    assert (report.rejected[0].reason or "").startswith("half-written")
    assert orders(shop) == []
    append(shop, whole[-20:])
    report = shop.load()
    assert orders(shop) == [1, 2] and report.rejected == () and report.balances
    assert [record.status for record in report.records] == ["rejected", "loaded"]


def test_a_half_written_file_that_was_completed_under_another_name_is_no_alarm(shop: Shop) -> None:
    folder = shop.settings.incoming / "shop"
    whole = lines(1)
    append(shop, whole[:-20])
    assert [record.file for record in shop.load().rejected] == ["app.jsonl"]
    append(shop, whole[-20:])
    (folder / "app.jsonl").rename(folder / "app-1.jsonl")
    assert shop.load().rejected == () and orders(shop) == [1]


def test_a_rotated_file_counts_once(shop: Shop) -> None:
    folder = shop.settings.incoming / "shop"
    append(shop, lines(1, 2))
    shop.load()
    append(shop, lines(3))
    (folder / "app.jsonl").rename(folder / "app-1.jsonl")
    append(shop, lines(4))
    shop.load()
    (folder / "app-1.jsonl").rename(folder / "app-2.jsonl")
    (folder / "app.jsonl").rename(folder / "app-1.jsonl")
    report = shop.load()
    assert orders(shop) == [1, 2, 3, 4] and report.rejected == () and report.balances


def test_a_file_under_its_temporary_name_is_left_alone(shop: Shop) -> None:
    for name in ("app.jsonl.tmp", "app.jsonl.part", ".app.jsonl.Xy12", ".app.jsonl"):
        append(shop, lines(1), name)
    assert shop.load().files_found == 0
    folder = shop.settings.incoming / "shop"
    (folder / ".app.jsonl.Xy12").rename(folder / "app.jsonl")
    assert shop.load().total("rows_accepted") == 1
