"""A large file of lines is gated while it comes: what is loaded, refused and told is what it is without that."""

from __future__ import annotations

import itertools
import json
import os
import queue
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pytest

from tests.killing import SEED, STRIDE, start
from tests.transforms.lake.shop import Shop, contract_document
from transforms.contracts import SourceContract
from transforms.lake import coming_file, gated, hashed_file, landing
from transforms.lake.coming_file import ComingFile, Pass
from transforms.lake.gated import GatedRows
from transforms.lake.inspection import TextCount
from transforms.lake.landing import received_files
from transforms.lake.load import load_source
from transforms.settings import Settings
from transforms.sources import files

BLOCK = 1 << 14
# What changes something in the file system.
STEPS = {"os.rename", "os.link", "os.symlink", "os.mkdir", "os.remove", "os.rmdir", "os.chmod"}
GOOD = {"order": "1", "line": "1", "time": "2025-03-01T10:00:00", "kind": "sale", "qty": 2, "amount": 9.9, "mail": None}
TABLES = (
    "SELECT * EXCLUDE (_loaded_at) FROM accepted ORDER BY _row",
    "SELECT * EXCLUDE (_loaded_at) FROM quarantine ORDER BY _row",
    "SELECT * EXCLUDE (loaded_at) FROM records",
)


def _lines(*changes: dict[str, Any], rows: int = 2_000) -> list[bytes]:
    """Good lines, of which the last ones are changed."""
    records = [{**GOOD, "order": str(number), "mail": f"größe{number}@example.org"} for number in range(rows)]
    records += [{**GOOD, "order": f"x{number}", **change} for number, change in enumerate(changes)]
    return [json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records]


@pytest.fixture(autouse=True)
def _every_file_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "_WORTH_READING_AHEAD", 1)
    monkeypatch.setattr(landing, "_WORTH_FOLLOWING", 1)
    monkeypatch.setattr(hashed_file, "_PART", BLOCK // 2)
    monkeypatch.setattr(coming_file, "_BLOCK", BLOCK)
    monkeypatch.setattr(files, "CHUNK", BLOCK + 77)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where the rows that were kept came from, each time that some were."""
    seen: list[str] = []
    keep = GatedRows.keep

    def spy(self: GatedRows, rows: str, values: int) -> None:
        seen.append("coming" if "coming_lines" in rows else "landed")
        keep(self, rows, values)

    monkeypatch.setattr(GatedRows, "keep", spy)
    return seen


def _loaded(folder: Path, content: bytes) -> list[list[tuple[Any, ...]] | None]:
    folder.mkdir()
    shop = Shop(folder, contract_document("json"))
    shop.deliver(content, "a.jsonl")
    report = shop.load()
    assert report.balances
    assert not list(shop.settings.scratch.iterdir())
    assert not list(shop.settings.landing.glob("*/.*"))
    (landed,) = received_files(shop.settings, "shop")
    assert landed.path.read_bytes() == content
    tables = TABLES if report.loaded[0].status == "loaded" else TABLES[2:]
    return [shop.query(table) for table in tables]


PLAIN = {
    "good ones": _lines(),
    "rows that break rules, repeat others and contradict them": _lines(
        {"kind": "gift"}, {"order": "5"}, {"order": "7", "qty": 1}, {"order": "7", "qty": 3}, {"amount": "much"}
    ),
    "fewer lines than a block holds": _lines(rows=3),
}
ODD = {
    "another key late": _lines({"new": 1}),
    "a number that a fraction does not hold": _lines({"amount": 1234567890123456.75}),
    "no JSON": [*_lines(), b"this is no JSON at all\n"],
    "other bytes": [*_lines(), _lines({"mail": "mäil"})[-1].replace("ä".encode(), b"\xe4")],
    "other bytes in the midst": [*_lines()[:900], b'{"order": "\xe4 and more"}\n', *_lines()[900:]],
    "carriage returns": [line.replace(b"\n", b"\r\n") for line in _lines()],
    "a carriage return late": [*_lines(), b'{"order": "1"}\r\n'],
    "a mark at the beginning": [b"\xef\xbb\xbf", *_lines()],
    "a blank line": [*_lines(), b"\n", *_lines({"order": "last"}, rows=0)],
    "a line longer than a block": _lines({"mail": "x" * 3 * BLOCK}, {}),
    "a short line": [*_lines(), b'{"a":1}\n'],
    "no end": [*_lines(), b'{"order": "1"}'],
    "a NUL": [*_lines(), b"\x00\n"],
    "nothing that is an object": [b"[1, 2, 3, 4, 5, 6]\n"] * 2_000,
    "other columns": [b'{"one": 1, "two": 2}\n'] * 2_000,
}


@pytest.mark.parametrize(
    ("content", "share"), [(name, 0.0) for name in (*PLAIN, *ODD)] + [(name, 0.75) for name in PLAIN]
)
def test_the_lake_is_that_of_a_file_read_from_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str], content: str, share: float
) -> None:
    monkeypatch.setattr(gated, "_MEMORY_SHARE", share)
    whole = b"".join({**PLAIN, **ODD}[content])
    followed = _loaded(tmp_path / "followed", whole)
    is_rejected = len(followed) == 1
    assert asked == ["coming"] if content in PLAIN else is_rejected or asked[-1:] == ["landed"]
    monkeypatch.setattr(landing, "_WORTH_FOLLOWING", 1 << 40)
    asked.clear()
    assert followed == _loaded(tmp_path / "landed", whole)
    assert "coming" not in asked


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> None:
    shop = Shop(tmp_path, contract_document("json"))
    path = shop.deliver(b"".join(_lines()), "a.jsonl")
    pieces = files._pieces

    def overwritten(source: BinaryIO, size: int) -> Any:
        for number, piece in enumerate(pieces(source, size)):
            if number == 5:
                path.write_bytes(b"".join(_lines(rows=10)))
            yield piece

    with monkeypatch.context() as moment:
        moment.setattr(files, "_pieces", overwritten)
        report = shop.load()
    assert asked == ["coming"]
    assert report.loaded == () and "changed while it was read" in report.unreadable["a.jsonl"]
    assert received_files(shop.settings, "shop") == []
    assert not list(shop.settings.scratch.iterdir())
    assert not list(shop.settings.landing.glob("*/.*"))
    assert shop.load().total("rows_accepted") == 10


def test_what_waits_from_earlier_on_comes_first(tmp_path: Path, asked: list[str]) -> None:
    shop = Shop(tmp_path, contract_document("json"))
    shop.deliver(b"".join(_lines()), "b.jsonl")
    shop.load()
    changed = contract_document("json")
    changed["schema"][0]["properties"][-1]["transformLogic"] = "'CHF'"
    shop.sign(changed)
    shop.deliver(b"".join(_lines({"order": "0", "qty": 7})), "a.jsonl")
    asked.clear()
    shop.load()
    assert asked == ["landed", "landed"]
    assert shop.query("SELECT count(*), max(quantity), max(currency) FROM accepted") == [(2_000, 2, "CHF")]


def _passed(content: bytes, plan: Callable[[bytes], Pass]) -> str | None:
    count = TextCount()
    coming = ComingFile(plan, count)
    for begin in range(0, len(content), 1_001):
        part = memoryview(content[begin : begin + 1_001])
        count.add(part)
        coming.add(part)
    return coming.complete()


def test_a_pass_gets_all_lines_in_their_order() -> None:
    lines = _lines()
    got: list[str] = []

    def run(batches: pa.RecordBatchReader) -> str:
        for batch in batches:
            got.extend(batch["line"].to_pylist())
        return "asked"

    def plan(beginning: bytes) -> Pass:
        assert b"".join(lines).startswith(beginning)
        return run

    told = _passed(b"".join(lines), plan)
    assert told == "asked"
    assert got == [line.decode().removesuffix("\n") for line in lines]


def test_a_pass_that_holds_all_that_it_got_is_given_more() -> None:
    def run(batches: pa.RecordBatchReader) -> str:
        return str(sum(batch.num_rows for batch in list(batches)))

    told = _passed(b"".join(_lines()), lambda _: run)
    assert told == "2000"


@pytest.mark.parametrize("after", [0, 3])
def test_a_pass_that_fails_holds_nobody_up(after: int) -> None:
    def run(batches: pa.RecordBatchReader) -> str:
        for _ in range(after):
            batches.read_next_batch()
        raise OSError("No space left on device")

    threads = threading.active_count()
    told = _passed(b"".join(_lines(rows=20_000)), lambda _: run)
    assert told is None
    assert threading.active_count() == threads


def test_a_mistake_of_the_program_is_told() -> None:
    def run(batches: pa.RecordBatchReader) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _passed(b"".join(_lines()), lambda _: run)


def test_a_slow_pass_makes_the_copy_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coming_file, "_BLOCKS", 3)
    go_on: queue.SimpleQueue[None] = queue.SimpleQueue()
    content = b"".join(_lines())

    def run(batches: pa.RecordBatchReader) -> str:
        go_on.get(timeout=30)
        return str(sum(batch.num_rows for batch in batches))

    copied = threading.Thread(target=lambda: told.append(_passed(content, lambda _: run)))
    told: list[str | None] = []
    copied.start()
    copied.join(0.3)
    assert copied.is_alive()
    go_on.put(None)
    copied.join(30)
    assert told == ["2000"]


def _load(settings: Settings, contract: SourceContract, last_step: int) -> None:
    """Load, and be killed before step ``last_step`` in the file system, if it comes that far."""
    steps = itertools.count()

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (event in STEPS or writes) and next(steps) == last_step:
            os.kill(os.getpid(), signal.SIGKILL)

    landing._WORTH_READING_AHEAD = landing._WORTH_FOLLOWING = 1
    hashed_file._PART, coming_file._BLOCK, gated._MEMORY_SHARE = BLOCK // 2, BLOCK, 0.0
    sys.addaudithook(count)
    load_source(settings, contract)


@pytest.mark.slow
@pytest.mark.parametrize(
    "stride", [pytest.param(STRIDE, id="some"), pytest.param(1, id="each", marks=pytest.mark.long)]
)
def test_a_load_killed_at_any_step_is_completed_by_the_next(tmp_path: Path, stride: int) -> None:
    print(f"WATERSHED_TEST_SEED={SEED}")  # noqa: T201
    content = b"".join([*_lines({"kind": "gift"}), _lines()[5]])
    step = 0
    for step in itertools.count(SEED % stride, stride):
        (tmp_path / str(step)).mkdir()
        shop = Shop(tmp_path / str(step), contract_document("json"))
        shop.deliver(content, "a.jsonl")
        child = start(_load, shop.settings, shop.contract, step)
        child.join()
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        shop.load()
        assert not list(shop.settings.scratch.iterdir()), f"left behind before step {step}"
        assert not list(shop.settings.landing.glob("*/.*"))
        counts = "rows_read, rows_accepted, rows_quarantined, rows_duplicate"
        assert shop.query(f"SELECT {counts} FROM records") == [(2_002, 2_000, 1, 1)], f"killed before step {step}"
        (landed,) = received_files(shop.settings, "shop")
        assert landed.path.read_bytes() == content
        shutil.rmtree(tmp_path / str(step))
    assert step >= 15, "the hook sees the steps"
