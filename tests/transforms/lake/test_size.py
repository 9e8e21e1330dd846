"""Files larger than the memory: the load's own, not DuckDB's limit, is what is measured."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from tests.transforms.lake.shop import HEADER, Shop, contract_document, csv_file, line
from transforms.lake import gated
from transforms.settings import PROJECT_DIR

MB = 1 << 20
LIMIT = 256 * MB
# Beyond DuckDB's limit: the interpreter with its libraries, and what DuckDB's readers and writers do not count.
BESIDE = 320 * MB
# DuckDB keeps books of what it has spilled: with 1 GB, 80 million rows are too many.
LARGE_LIMIT, LARGE_BESIDE = 2_048 * MB, 1_280 * MB
GOOD = (
    "SELECT i AS \"order\", 1 AS line, strftime(TIMESTAMP '2025-03-01' + INTERVAL 1 SECOND * (i % 1000000),"
    " '%Y-%m-%dT%H:%M:%S') AS time, 'sale' AS kind, i % 9 + 1 AS qty, i % 1000 + 0.5 AS amount, NULL AS discount,"
    " 'p' || (i * 7919 % 1000003) || '@example.com' AS mail FROM range({rows}) AS t (i)"
)
_LOADER = """
import sys
from pathlib import Path
from transforms.contracts import load_contracts
from transforms.lake.load import load_source
from transforms.settings import Settings
home = Path(sys.argv[1])
settings = Settings(home=home / "home", contracts=home / "contracts", memory_limit=sys.argv[2])
report = load_source(settings, load_contracts(settings.entities, settings.contracts).sources["shop"])
assert report.balances
# Not what wait4() says: that begins with the peak of the process that started this one.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) * 1024)
"""


@dataclass(frozen=True)
class Cost:
    """What a load took: seconds on the clock, seconds of the processors, highest resident memory in bytes."""

    wall: float
    cpu: float
    memory: int


def load(shop: Shop, limit: int = LIMIT) -> Cost:
    """Load in a process of its own."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", _LOADER, str(shop.settings.home.parent), f"{limit // MB}MiB"],
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    assert process.returncode == 0
    return Cost(time.monotonic() - started, usage.ru_utime + usage.ru_stime, int(said.splitlines()[-1]))


def good_csv(shop: Shop, rows: int, name: str = "a.csv") -> Path:
    """A file of good rows, 63 bytes each."""
    path = shop.settings.incoming / "shop" / name
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({GOOD.format(rows=rows)}) TO '{path}' (HEADER)")
    return path


def good_json(shop: Shop, rows: int) -> Path:
    """Lines of JSON, 138 bytes each."""
    path = shop.settings.incoming / "shop" / "a.jsonl"
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({GOOD.format(rows=rows)}) TO '{path}' (FORMAT json)")
    return path


def account(shop: Shop) -> list[tuple]:
    return shop.query("SELECT status, rows_read, rows_accepted, rows_quarantined FROM records")


def zipped(path: Path) -> Path:
    """The same file, compressed as fast as gzip can."""
    packed = path.with_name(path.name + ".gz")
    with path.open("rb") as source, gzip.open(packed, "wb", compresslevel=1) as target:
        shutil.copyfileobj(source, target, MB)
    path.unlink()
    return packed


def repeated(path: Path, begin: str, text: str, times: int, end: str = "") -> Path:
    """A file of one text over and over, a megabyte or so at a time."""
    many = max(1, MB // len(text))
    with path.open("w") as target:
        target.write(begin)
        for _ in range(times // many):
            target.write(text * many)
        target.write(text * (times % many) + end)
    return path


@pytest.mark.long
def test_a_file_of_760_mb_is_loaded_in_three_quarters_of_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    rows = 12_000_000
    path = good_csv(shop, rows)
    cost = load(shop)
    assert account(shop) == [("loaded", rows, rows, 0)]
    assert cost.memory < LIMIT + BESIDE < 0.8 * path.stat().st_size


@pytest.mark.slow
def test_a_line_without_end_is_refused_without_being_read_into_memory(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    repeated(shop.settings.incoming / "shop" / "a.csv", HEADER + "\n", "x", 600 * MB, "\n")
    cost = load(shop)
    ((reason,),) = shop.query("SELECT reason FROM records")
    assert reason.startswith("line ends: none in")
    assert cost.memory < LIMIT + BESIDE


def after_an_open_quote(path: Path) -> Path:
    """The same file with a first record whose quote never ends."""
    opened = path.with_name("opened.csv")
    with path.open("rb") as source, opened.open("wb") as target:
        target.write(source.readline() + line("open", mail='"never ends').encode() + b"\n")
        shutil.copyfileobj(source, target, MB)
    path.unlink()
    return opened


@pytest.mark.slow
def test_a_quote_that_never_ends_costs_its_own_line(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    rows = 2_000_000
    after_an_open_quote(good_csv(shop, rows))
    cost = load(shop)
    assert account(shop) == [("loaded", rows + 1, rows, 1)]
    assert shop.reasons() == [(2, "parse:unterminated_quote")]
    assert cost.memory < LIMIT + BESIDE


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (line("x", mail='"stray'), "parse:unterminated_quote"),
        ("too,few", "parse:missing_columns"),
        (line("x") + ",more", "parse:too_many_columns"),
        (line("x", mail='"a"b'), "parse:unquoted_value"),
    ],
)
@pytest.mark.slow
def test_300_000_broken_lines_take_seconds(tmp_path: Path, broken: str, reason: str) -> None:
    shop = Shop(tmp_path)
    repeated(shop.settings.incoming / "shop" / "a.csv", csv_file(line("1")), broken + "\n", 300_000)
    cost = load(shop)
    assert shop.query("SELECT status, rows_read, rows_quarantined FROM records") == [("held", 300_001, 300_001)]
    assert shop.query("SELECT DISTINCT reasons FROM quarantine ORDER BY 1") == [("held:quarantine_rate",), (reason,)]
    # One by one they would take 120 s.
    assert cost.cpu < 40 and cost.memory < LIMIT + BESIDE


def test_a_record_longer_than_16_mb_is_set_aside_by_its_beginning(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.deliver(csv_file(line("1"), line("2", mail="x" * 17 * MB), line("3")))
    shop.load()
    assert account(shop) == [("loaded", 3, 2, 1)]
    assert shop.reasons() == [(3, "parse:line_too_long")]
    assert shop.query("SELECT length(raw) FROM quarantine") == [(1 << 16,)]


def test_a_line_of_json_longer_than_16_mb_is_set_aside_by_its_beginning(tmp_path: Path) -> None:
    shop = Shop(tmp_path, contract_document("json"))
    rows = [dict(zip(HEADER.split(","), line(order).split(","), strict=True)) for order in "123"]
    rows[1]["mail"] = "x" * 17 * MB
    shop.deliver("".join(json.dumps(row) + "\n" for row in rows), "a.jsonl")
    shop.load()
    assert account(shop) == [("loaded", 3, 2, 1)]
    assert shop.reasons() == [(2, "parse:line_too_long")]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize("torn", [False, True], ids=["whole", "torn"])
def test_rows_that_are_kept_on_disk_fare_as_those_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, torn: bool
) -> None:
    lakes = []
    document = contract_document("csv" if ending == "csv" else "json")
    for place, share in (("memory", 0.75), ("disk", 0.0)):
        monkeypatch.setattr(gated, "_MEMORY_SHARE", share)
        (tmp_path / place).mkdir()
        shop = Shop(tmp_path / place, document)
        shop.settings = shop.settings.model_copy(update={"threads": 4})
        for number, broken in enumerate(("kind = 'gift'", "amount = -1")):
            # Every thousandth line breaks a rule; the last 600, and 50,000 of the second file, repeat others.
            name, _, value = broken.partition(" = ")
            rows = (
                f"SELECT * EXCLUDE (i) REPLACE (CASE WHEN i % 1000 = 5 THEN {value} ELSE {name} END AS {name})"
                f" FROM (SELECT i, * FROM ({GOOD.format(rows=200_000)}) POSITIONAL JOIN range(200_000) AS n (i))"
                f" WHERE i >= {number * 150_000} UNION ALL BY NAME FROM ({GOOD.format(rows=600)})"
                # 50 of one key differ from others, in the first file and in what the lake has of it.
                f" UNION ALL BY NAME SELECT * REPLACE (qty + 1 AS qty) FROM ({GOOD.format(rows=200_000)})"
                f' WHERE "order" BETWEEN {10_010 + number * 100_000} AND {10_059 + number * 100_000}'
            )
            with duckdb.connect() as connection:
                path = shop.settings.incoming / "shop" / f"{number}.{ending}"
                connection.execute(f"COPY ({rows}) TO '{path}' ({'HEADER' if ending == 'csv' else 'FORMAT json'})")
            if torn:
                with path.open("a") as lines:
                    lines.write("torn\n")
        shop.load()
        lakes.append(
            [
                shop.query("SELECT * EXCLUDE (_loaded_at, _batch_id) FROM accepted ORDER BY _file, _row"),
                shop.query("SELECT _file, _row, stage, reasons, raw FROM quarantine ORDER BY ALL"),
                shop.query(
                    "SELECT file, rows_read, rows_accepted, rows_quarantined, rows_duplicate FROM records ORDER BY 1"
                ),
            ]
        )
        assert not list(shop.settings.scratch.iterdir())
    in_memory, on_disk = lakes
    assert in_memory == on_disk
    parse = {"parse:missing_columns" if ending == "csv" else "parse:not_json"} if torn else set()
    reasons = Counter((file[0], reason) for file, _, _, reason, _ in in_memory[1])
    assert {reason for _, reason in reasons} == {"enum:line_type", "minimum:gross_amount", "duplicate_key", *parse}
    # Within a file both of two that differ are refused, of what the lake has only the later one.
    assert (reasons["0", "duplicate_key"], reasons["1", "duplicate_key"]) == (100, 50)
    # One of the repeated 600 and 50 of the 50,000 that both files have broke a rule.
    assert [duplicates for *_, duplicates in in_memory[2]] == [599, 50_550]


def _large_csv(shop: Shop) -> int:
    return good_csv(shop, rows := 80_000_000).stat().st_size and rows


def _large_gzip(shop: Shop) -> int:
    return zipped(good_csv(shop, rows := 80_000_000)).stat().st_size and rows


def _large_json(shop: Shop) -> int:
    return good_json(shop, rows := 40_000_000).stat().st_size and rows


def _large_open(shop: Shop) -> int:
    return after_an_open_quote(good_csv(shop, rows := 16_000_000)).stat().st_size and rows


@pytest.mark.benchmark
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize(
    ("kind", "deliver"),
    [
        ("csv of 5 GB", _large_csv),
        ("csv.gz of 5 GB", _large_gzip),
        ("json lines of 5 GB", _large_json),
        ("csv of 1 GB after a quote that never ends", _large_open),
    ],
)
def test_large_files(tmp_path: Path, kind: str, deliver: Callable[[Shop], int]) -> None:
    shop = Shop(tmp_path, contract_document("json" if "json" in kind else "csv"))
    rows = deliver(shop)
    (path,) = (shop.settings.incoming / "shop").iterdir()
    cost = load(shop, LARGE_LIMIT)
    print(f"{kind}: {path.stat().st_size:,} bytes, {rows:,} rows, {cost}")  # noqa: T201
    bad = int("quote" in kind)
    assert account(shop) == [("loaded", rows + bad, rows, bad)]
    assert cost.memory < LARGE_LIMIT + LARGE_BESIDE


@pytest.mark.benchmark
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_line_of_2_gb(tmp_path: Path, ending: str) -> None:
    shop = Shop(tmp_path, contract_document("csv" if ending == "csv" else "json"))
    repeated(shop.settings.incoming / "shop" / f"a.{ending}", HEADER + "\n", "x" * MB, 2_048, "\n")
    cost = load(shop)
    print(f"{ending}: {cost}")  # noqa: T201
    assert cost.memory < LIMIT + BESIDE
