"""Of many files each is read while the one before it is written: the lake must not show it."""

from __future__ import annotations

import gzip
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.transforms.lake.shop import HEADER, Shop, csv_file, line
from transforms.lake import file_reader, side_by_side
from transforms.lake.landing import LandedFile
from transforms.lake.readers import Staged

FILES: dict[str, bytes | str] = {
    "a.csv": csv_file(line("1"), line("2"), line("3", kind="gift"), line("2")),
    # A conflict with the file before, a repeat of it, a conflict of its own.
    "b.csv": csv_file(line("1", amount="7.00"), line("2"), line("4"), line("5"), line("5", amount="1.00")),
    # A file that cannot be read, one whose columns are others, the bytes of an earlier one, one without rows.
    "c.csv.gz": gzip.compress(csv_file(line("6")).encode())[:-12],
    "d.csv": "order,time\n6,2025-03-01T10:00:00\n",
    "e.csv": csv_file(line("1"), line("2"), line("3", kind="gift"), line("2")),
    "f.csv": HEADER + "\n",
    # Lines that are no records, in two files after each other.
    "g.csv": csv_file(
        line("6"), line("4", mail="a@b.example"), line("7", time="2025-02-30T10:00:00"), line("8") + ",x"
    ),
    "h.csv": csv_file(*(line(str(number)) for number in range(5, 40)), "41,1", line("42") + ",x,y"),
}
TABLES = (
    "SELECT * EXCLUDE (_loaded_at) FROM accepted ORDER BY ALL",
    "SELECT * EXCLUDE (_loaded_at) FROM quarantine ORDER BY ALL",
    "SELECT * EXCLUDE (loaded_at) FROM records ORDER BY ALL",
)


@pytest.fixture
def read_by(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Which thread has read each landed file, by its name."""
    threads: dict[str, str] = {}
    stage = file_reader.stage

    def spy(connection: Any, settings: Any, contract: Any, file: LandedFile, counted: Any) -> Staged:
        threads[file.name] = "main" if threading.current_thread() is threading.main_thread() else "helper"
        return stage(connection, settings, contract, file, counted)

    monkeypatch.setattr(file_reader, "stage", spy)
    return threads


def _loaded(folder: Path) -> list[list[tuple[Any, ...]]]:
    folder.mkdir()
    shop = Shop(folder)
    for name, content in FILES.items():
        shop.deliver(content, name)
    assert shop.load().balances
    return [shop.query(table) for table in TABLES]


def test_the_lake_is_that_of_files_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_turns = _loaded(tmp_path / "side_by_side")
    monkeypatch.setattr(side_by_side, "_AHEAD_BYTES", -1)
    one_by_one = _loaded(tmp_path / "one_by_one")
    assert by_turns == one_by_one
    accepted, quarantine, records = by_turns
    assert len(accepted) == 2 + 1 + 1 + 34
    assert {row[0] for row in records} == {"shop"}
    assert quarantine


def test_a_file_is_read_while_the_one_before_is_written(tmp_path: Path, read_by: dict[str, str]) -> None:
    shop = Shop(tmp_path)
    for number in range(4):
        shop.deliver(csv_file(line(str(number))), f"{number}.csv")
    shop.load()
    assert read_by == {"0.csv": "main", "1.csv": "helper", "2.csv": "helper", "3.csv": "helper"}


def test_two_large_files_are_not_in_memory_together(
    tmp_path: Path, read_by: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path)
    small, large = csv_file(line("0")), csv_file(*(line(str(number)) for number in range(1, 200)))
    for name, content in {"a.csv": small, "b.csv": large, "c.csv": small + line("x") + "\n", "d.csv": small}.items():
        shop.deliver(content, name)
    monkeypatch.setattr(side_by_side, "_AHEAD_BYTES", 1000)
    shop.load()
    assert read_by == {"a.csv": "main", "b.csv": "main", "c.csv": "main"}
