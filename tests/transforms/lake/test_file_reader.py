"""A large file that comes alone is read while it is hashed: what is loaded are the very bytes that the hash is of."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.transforms.lake.shop import Shop, contract_document, csv_file, line
from transforms.lake import file_reader, inspection, landing, side_by_side
from transforms.lake.coming_file import ComingFile
from transforms.lake.file_reader import FileReader
from transforms.lake.inspection import TextCount
from transforms.lake.landing import LandedFile, received_files
from transforms.lake.readers import Staged

GOOD = {"order": "1", "line": "1", "time": "2025-03-01T10:00:00", "kind": "sale", "qty": 2, "amount": 9.9}


@pytest.fixture(autouse=True)
def _every_file_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "_WORTH_READING_AHEAD", 1)
    # Of several files none is read while another is written: the order in which they are read shows.
    monkeypatch.setattr(side_by_side, "_AHEAD_BYTES", -1)


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Names of the files that were read, and whether that was ahead."""
    files: list[tuple[str, bool]] = []
    stage = file_reader.stage

    def spy(*arguments: Any) -> Staged:
        *_, file, counted = arguments
        files.append((file.name, counted is not None))
        return stage(*arguments)

    monkeypatch.setattr(file_reader, "stage", spy)
    return files


def _json_lines(*records: dict[str, object]) -> str:
    return "".join(json.dumps({**GOOD, **record}) + "\n" for record in records)


@pytest.mark.parametrize("file_format", ["csv", "json"])
def test_a_file_alone_is_read_once_before_it_is_landed(
    tmp_path: Path, staged: list[tuple[str, bool]], file_format: str
) -> None:
    shop = Shop(tmp_path, contract_document(file_format))
    # A rule is broken, a row comes twice, two rows contradict each other: their texts are looked up once more.
    content = {
        "csv": csv_file(
            line("1"), line("2", kind="gift"), line("3"), line("3"), line("4", qty="1"), line("4", qty="5")
        ),
        "json": _json_lines(
            {}, {"order": "2", "kind": "gift"}, {"order": "3"}, {"order": "3"}, {"order": "4"}, {"order": "4", "qty": 5}
        ),
    }[file_format]
    shop.deliver(content, {"csv": "a.csv", "json": "a.jsonl"}[file_format])
    (record,) = shop.load().loaded
    assert [ahead for _, ahead in staged] == [True]
    assert (record.rows_read, record.rows_accepted, record.rows_quarantined, record.rows_duplicate) == (6, 2, 3, 1)
    assert shop.query("SELECT order_id FROM accepted ORDER BY ALL") == [("1",), ("3",)]
    first = 2 if file_format == "csv" else 1
    assert shop.reasons() == [
        (first + 1, "enum:line_type"),
        (first + 4, "duplicate_key"),
        (first + 5, "duplicate_key"),
    ]
    refused = shop.query("SELECT raw FROM quarantine WHERE reasons = 'duplicate_key' ORDER BY _row")
    assert [json.loads(raw)["qty"] for (raw,) in refused] == ([*"15"] if file_format == "csv" else [2, 5])
    assert record.file_sha256 == hashlib.sha256(content.encode()).hexdigest()
    (landed,) = received_files(shop.settings, "shop")
    assert landed.path.read_text() == content
    assert not list(shop.settings.landing.glob("*/.*"))
    assert not list(shop.settings.scratch.iterdir())


def test_the_hash_is_of_the_bytes_that_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, staged: list[tuple[str, bool]]
) -> None:
    shop = Shop(tmp_path)
    before, after = csv_file(line("1"), line("2")), csv_file(line("7"), line("8"))
    shop.deliver(before)
    read_ahead = FileReader.read_ahead

    def overwritten(self: FileReader, file: LandedFile, counted: TextCount, coming: ComingFile | None) -> None:
        # The provider writes over its file just when it is read here.
        shop.deliver(after)
        read_ahead(self, file, counted, coming)

    monkeypatch.setattr(FileReader, "read_ahead", overwritten)
    (record,) = shop.load().loaded
    assert record.file_sha256 == hashlib.sha256(before.encode()).hexdigest()
    assert shop.query("SELECT order_id FROM accepted ORDER BY ALL") == [("1",), ("2",)]
    monkeypatch.setattr(FileReader, "read_ahead", read_ahead)
    (record,) = shop.load().loaded
    assert record.file_sha256 == hashlib.sha256(after.encode()).hexdigest()
    assert shop.query("SELECT order_id FROM accepted ORDER BY ALL") == [("1",), ("2",), ("7",), ("8",)]
    assert len(staged) == 2


def test_bytes_that_came_before_count_nothing_although_they_were_read(
    tmp_path: Path, staged: list[tuple[str, bool]]
) -> None:
    shop = Shop(tmp_path)
    shop.deliver(csv_file(line("1")), "a.csv")
    shop.load()
    shop.deliver(csv_file(line("1")), "b.csv")
    (record,) = shop.load().loaded
    assert (record.status, record.rows_accepted, record.rows_duplicate) == ("replayed", 0, 1)
    assert shop.query("SELECT count(*) FROM accepted") == [(1,)]
    assert len(staged) == 2


def test_what_waits_from_earlier_on_comes_first(tmp_path: Path, staged: list[tuple[str, bool]]) -> None:
    shop = Shop(tmp_path)
    shop.deliver(csv_file(line("1")), "b.csv")
    shop.load()
    changed = contract_document()
    changed["schema"][0]["properties"][-1]["transformLogic"] = "'CHF'"
    shop.sign(changed)
    shop.deliver(csv_file(line("1", qty="3"), line("2")), "a.csv")
    staged.clear()
    shop.load()
    # Both from their places, in the order in which they came; the one that was first stays.
    assert staged == [("b.csv", False), ("a.csv", False)]
    assert shop.query("SELECT order_id, quantity, currency FROM accepted ORDER BY ALL") == [
        ("1", 2, "CHF"),
        ("2", 2, "CHF"),
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(csv_file(line("1"))[:-1], "half-written"), ("a,b\n1,2\n", "columns"), ("PK\x03\x04", "archive")],
    ids=["half-written", "other columns", "archive"],
)
def test_a_file_that_cannot_be_taken_is_refused_with_its_reason(tmp_path: Path, content: str, reason: str) -> None:
    shop = Shop(tmp_path)
    shop.deliver(content)
    (record,) = shop.load().loaded
    assert record.status == "rejected"
    assert (record.reason or "").startswith(reason)
    assert record.file_sha256 == hashlib.sha256(content.encode()).hexdigest()


def test_what_the_disk_did_not_take_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(tmp_path)
    shop.deliver(csv_file(line("1")))
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").resolve().suffix == ".csv":
            raise OSError(5, "Input/output error")
        fsync(descriptor)

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", failing)
        with pytest.raises(OSError, match="Input/output"):
            shop.load()
    assert received_files(shop.settings, "shop") == []
    assert not list(shop.settings.lake.glob("_generations/transactions/shop/*/*"))
    assert not list(shop.settings.scratch.iterdir())
    assert shop.load().total("rows_accepted") == 1


def test_a_load_that_ends_while_it_reads_has_landed_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(tmp_path)
    path = shop.deliver(csv_file(line("1")))

    def interrupted(self: FileReader, file: LandedFile, counted: TextCount, coming: ComingFile | None) -> None:
        deadline = time.monotonic() + 30
        while not received_files(shop.settings, "shop"):
            assert time.monotonic() < deadline, "the file is logged as soon as the disk has it"
            time.sleep(0.01)
        assert file.path.read_bytes() == path.read_bytes()
        raise KeyboardInterrupt

    with monkeypatch.context() as moment:
        moment.setattr(FileReader, "read_ahead", interrupted)
        with pytest.raises(KeyboardInterrupt):
            shop.load()
    # The provider holds it no longer.
    path.unlink()
    assert shop.load().total("rows_accepted") == 1
    assert not list(shop.settings.landing.glob("*/.*"))


def test_a_text_is_not_looked_through_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "_count", None)
    shop = Shop(tmp_path)
    shop.deliver(csv_file(line("1"), line("2", mail="größe@example.org")))
    assert shop.load().total("rows_accepted") == 2


def test_several_files_are_landed_before_any_is_read(tmp_path: Path, staged: list[tuple[str, bool]]) -> None:
    shop = Shop(tmp_path)
    for name in "ab":
        shop.deliver(csv_file(line(name)), f"{name}.csv")
    assert shop.load().total("rows_accepted") == 2
    assert staged == [("a.csv", False), ("b.csv", False)]
