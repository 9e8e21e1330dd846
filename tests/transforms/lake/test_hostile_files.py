"""Files that mean harm or are no files at all: a load ends, refuses them with a reason, and takes the others."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import resource
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.transforms.lake.shop import Shop, contract_document, csv_file, line
from transforms.contracts.servers import FileServer
from transforms.lake import inspection
from transforms.lake.inspection import BrokenFileError, inspect_text
from transforms.settings import PROJECT_DIR
from transforms.sources import deliveries
from transforms.sources.delivery import UnreadableError

GOOD = csv_file(line("good"))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path, contract_document("csv", path="shop/**/*"))
    shop.deliver(GOOD, "z.csv")
    return shop


def reasons(shop: Shop) -> dict[str, str]:
    """Reasons of all refused files, after the good one has come through."""
    report = shop.load()
    assert shop.query("SELECT order_id FROM accepted") == [("good",)]
    return {record.file: record.reason or "" for record in report.rejected}


def tar(mode: str = "w") -> bytes:
    with tarfile.open(fileobj=(buffer := io.BytesIO()), mode=mode) as archive:  # type: ignore[call-overload]
        entry = tarfile.TarInfo("a.csv")
        entry.size = len(GOOD)
        archive.addfile(entry, io.BytesIO(GOOD.encode()))
    return buffer.getvalue()


def zipped() -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        archive.writestr("a.csv", GOOD)
    return buffer.getvalue()


ARCHIVES = {
    "zip": ("a.zip", zipped(), "archive: zip"),
    "zip named csv": ("a.csv", zipped(), "archive: zip"),
    "empty zip": ("a.csv", b"PK\x05\x06" + b"\0" * 18, "archive: zip"),
    "tar": ("a.tar", tar(), "archive: tar"),
    "tar.gz": ("a.tar.gz", tar("w:gz"), "archive: tar"),
    "7z": ("a.7z", b"7z\xbc\xaf\x27\x1c" + b"\0" * 40, "archive: 7z"),
    "rar": ("a.rar", b"Rar!\x1a\x07\x01\0" + b"\0" * 40, "archive: rar"),
    "bzip2": ("a.csv.bz2", bz2.compress(GOOD.encode()), "archive: bzip2"),
    "xz": ("a.csv.xz", lzma.compress(GOOD.encode()), "archive: xz"),
    "lz4": ("a.csv.lz4", pa.compress(GOOD.encode(), codec="lz4", asbytes=True), "archive: lz4"),
    "old workbook": ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 40, "format: the content is Excel"),
    "parquet": ("a.csv", b"PAR1" + b"\0" * 40 + b"PAR1", "format: the content is Parquet"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_archives_are_refused_by_their_name(shop: Shop, case: str) -> None:
    name, content, reason = ARCHIVES[case]
    shop.deliver(content, name)
    (found,) = reasons(shop).values()
    assert found.startswith(reason) and "deliver" in found


def repeated(piece: bytes, times: int) -> bytes:
    """A gzip file of many gigabytes, made without inflating them: members may follow each other."""
    return gzip.compress(piece, 9) * times


ZEROS = repeated(b"\0" * 100_000_000, 100)
BOMBS = {
    "10 GB of zeros": ("a.csv.gz", ZEROS, "encoding: NUL"),
    "10 GB of one letter": ("a.csv.gz", repeated(b"x" * 100_000_000, 100), "line ends: none in"),
    "10 GB of one row": ("a.csv.gz", repeated(b"a,b\n" * 25_000_000, 100), "inflation: "),
    "zstd of one row": (
        "a.csv.zst",
        pa.compress(b"a,b\n" * 25_000_000, codec="zstd", asbytes=True) * 100,
        "inflation: ",
    ),
    "gzip in gzip": ("a.csv.gz", gzip.compress(ZEROS), "encoding: NUL"),
    "deflate without an end": (
        "a.csv.gz",
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + zlib.compress(b"".join(b"%d,b\n" % n for n in range(10**6)))[2:-4],
        "comp",
    ),
}


@pytest.mark.parametrize("case", BOMBS)
def test_bombs_cost_seconds_and_little_memory(shop: Shop, case: str) -> None:
    name, content, reason = BOMBS[case]
    shop.deliver(content, name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    assert reasons(shop)[name].startswith(reason)
    assert time.monotonic() - started < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


def test_a_large_file_may_inflate_less_than_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "FREE_BYTES", 1 << 20)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" * 1_000_000))
    with pytest.raises(BrokenFileError, match="inflation"):
        inspect_text(path)
    path.write_bytes(gzip.compress(b"".join(b"%d,b\n" % n for n in range(1_000_000))))
    assert inspect_text(path).lines == 1_000_000


def test_more_rows_than_bytes_could_hold(tmp_path: Path) -> None:
    shop = Shop(tmp_path, contract_document("parquet"))
    path = shop.settings.incoming / "shop" / "a.parquet"
    nothing = pa.table({"order": pa.nulls(20_000_000, pa.string())})
    pq.write_table(nothing, path)
    assert path.stat().st_size < 100_000
    assert (shop.load().records[0].reason or "").startswith("inflation: 20,000,000 rows in")


def test_json_of_a_million_brackets(tmp_path: Path) -> None:
    shop = Shop(tmp_path, contract_document("json"))
    good = '{"order":"1","line":"1","time":"2025-03-01T10:00:00Z","kind":"sale","amount":9.9}'
    deep = '{"order":' * 500_000
    shop.deliver(f"{good}\n{'[' * 1_000_000}\n{deep}\n" + '{"a":' * 1_000 + "1" + "}" * 1_000 + "\n", "a.jsonl")
    report = shop.load()
    assert report.total("rows_accepted") == 1 and report.balances
    assert [row for row, _ in shop.reasons()] == [2, 3, 4]


def in_seconds(seconds: float, shop: Shop) -> None:
    """Load in another process, which may hang."""
    code = (
        "from transforms.settings import Settings; from transforms.contracts import load_contracts;"
        "from transforms.lake.load import load_source;"
        f"s = Settings(home={str(shop.settings.home)!r}, contracts={str(shop.settings.contracts)!r});"
        "load_source(s, load_contracts(s.entities, s.contracts).sources['shop'])"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=seconds, cwd=PROJECT_DIR)


def test_pipes_sockets_and_folders_are_no_files(shop: Shop) -> None:
    folder = shop.settings.incoming / "shop"
    os.mkfifo(folder / "pipe.csv")
    (folder / "folder.csv").mkdir()
    (folder / "null.csv").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        where = os.open(folder, os.O_RDONLY)
        listening.bind(f"/proc/self/fd/{where}/socket.csv")
        os.close(where)
        in_seconds(60, shop)
    assert reasons(shop) == {}
    assert [record.file for record in shop.load().records] == ["z.csv"]


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(shop: Shop) -> None:
    (delivery,) = deliveries(shop.contract, shop.settings, None, shop.now)
    path = shop.settings.incoming / "shop" / "z.csv"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UnreadableError, match="changed while it was read"):
        delivery.write(io.BytesIO())


def test_links_in_circles_end(shop: Shop) -> None:
    folder = shop.settings.incoming / "shop"
    for name in "abcdef":
        (folder / name).mkdir()
        for other in "abcdef":
            (folder / name / other).symlink_to(folder / other)
    (folder / "self.csv").symlink_to(folder / "self.csv")
    (folder / "parent").symlink_to(folder)
    started = time.monotonic()
    assert reasons(shop) == {}
    assert time.monotonic() - started < 10


def test_a_folder_that_may_not_be_entered_is_reported(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = shop.settings.incoming / "shop" / "closed"
    closed.mkdir()
    (closed / "a.csv").write_text(csv_file(line("late")))
    really_scan = os.scandir

    def forbidden(path: Path | int) -> object:
        if not isinstance(path, int) and Path(path) == closed:
            raise PermissionError(13, "Permission denied")
        return really_scan(path)

    monkeypatch.setattr(os, "scandir", forbidden)
    assert shop.load().unreadable == {"closed/": "the folder may not be entered; mend its permissions"}
    monkeypatch.undo()
    assert [record.file for record in shop.load().loaded] == ["closed/a.csv"]


def test_a_file_without_permission_is_reported_and_taken_later(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    really_open = os.open

    def forbidden(path: str, *arguments: int, **named: int) -> int:
        if str(path).endswith("secret.csv"):
            raise PermissionError(13, "Permission denied")
        return really_open(path, *arguments, **named)

    shop.deliver(csv_file(line("late")), "secret.csv")
    monkeypatch.setattr(os, "open", forbidden)
    report = shop.load()
    assert report.unreadable == {
        "secret.csv": "unreadable: Permission denied; mend its permissions or deliver it again"
    }
    monkeypatch.undo()
    assert [record.file for record in shop.load().loaded] == ["secret.csv"]


class Writing(io.BytesIO):
    """A stream that lets something happen to the source after the first piece."""

    def __init__(self, happens: object):
        super().__init__()
        self._happens = happens

    def write(self, data: object) -> int:
        happens, self._happens = self._happens, None
        if callable(happens):
            happens()
        return super().write(data)  # type: ignore[arg-type]


ROWS = [line(str(n)) for n in range(60_000)]


def replace(path: Path) -> None:
    other = path.with_suffix(".tmp")
    other.write_text(GOOD)
    other.replace(path)


CHANGES = {
    "shrinks": (lambda path: os.truncate(path, 100), True),
    "is emptied and written anew": (lambda path: path.write_text(csv_file(*ROWS[:10])), True),
    "is touched": (lambda path: os.utime(path, (1, 1)), True),
    "is replaced by a rename": (replace, False),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_file_that_changes_while_it_is_copied(shop: Shop, case: str) -> None:
    happens, is_unreadable = CHANGES[case]
    path = shop.deliver(csv_file(*ROWS), "z.csv")
    assert path.stat().st_size > 2 << 20
    (delivery,) = deliveries(shop.contract, shop.settings, None, shop.now)
    target = Writing(lambda: happens(path))
    if is_unreadable:
        with pytest.raises(UnreadableError, match="changed while it was read"):
            delivery.write(target)
    else:  # the open file is still the old one, whole
        delivery.write(target)
        assert target.getvalue().decode() == csv_file(*ROWS)


@pytest.mark.parametrize(("name", "grows"), [("z.csv", True), ("z.csv.gz", False)])
def test_a_file_that_grows_while_it_is_copied(shop: Shop, name: str, grows: bool) -> None:
    whole = csv_file(*ROWS).encode()
    (shop.settings.incoming / "shop" / "z.csv").unlink()
    path = shop.deliver(whole + b"half", name)

    def append() -> None:
        with path.open("ab") as stream:
            stream.write(b" a line\nmore\n")

    (delivery,) = deliveries(shop.contract, shop.settings, None, shop.now)
    target = Writing(append)
    if grows:
        delivery.write(target)
        assert target.getvalue() == whole
    else:
        with pytest.raises(UnreadableError, match="changed while it was read"):
            delivery.write(target)


def test_a_parquet_file_that_grows_is_not_taken_in_part(tmp_path: Path) -> None:
    shop = Shop(tmp_path, contract_document("parquet"))
    assert isinstance(shop.contract.server, FileServer)
    path = shop.deliver(os.urandom(3 << 20), "a.parquet")
    (delivery,) = deliveries(shop.contract, shop.settings, None, shop.now)
    with pytest.raises(UnreadableError, match="changed while it was read"):
        delivery.write(Writing(lambda: path.open("ab").write(b"x")))


def test_a_full_disk_is_not_the_fault_of_the_file(shop: Shop) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (delivery,) = deliveries(shop.contract, shop.settings, None, shop.now)
    with pytest.raises(OSError, match="No space") as caught:
        delivery.write(Writing(full))
    assert not isinstance(caught.value, UnreadableError)


def test_a_file_that_vanishes_is_reported(shop: Shop) -> None:
    (delivery,) = deliveries(shop.contract, shop.settings, None, shop.now)
    (shop.settings.incoming / "shop" / "z.csv").unlink()
    with pytest.raises(UnreadableError, match="No such file"):
        delivery.write(io.BytesIO())


@pytest.mark.parametrize(
    "name", ["..csv", "a..csv", "\u202egnp.csv", "-rf.csv", "a\nb.csv", "a\\..\\b.csv", "%2e%2e%2fa.csv", "ü" * 120]
)
def test_odd_names_stay_in_the_landing_folder(shop: Shop, name: str) -> None:
    shop.deliver(csv_file(line("good")) + "\n", name)
    shop.load()
    landing = shop.settings.landing / "shop"
    assert all(path.parent == landing for path in landing.rglob("*"))
    assert len(list(landing.iterdir())) == (2 if name.startswith(".") else 3)
    assert shop.load().loaded == ()


def test_a_folder_whose_own_name_has_wildcards_is_taken_as_it_is(tmp_path: Path) -> None:
    odd = tmp_path / "a[b]*c=d"
    odd.mkdir()
    shop = Shop(odd)
    shop.deliver(GOOD)
    assert [record.file for record in shop.load().records] == ["a.csv"]


def test_formulas_are_kept_as_they_came(shop: Shop) -> None:
    shop.deliver(csv_file(line("good", mail="=cmd|'/c calc'!A1")), "z.csv")
    shop.load()
    assert shop.query("SELECT email FROM accepted") == [("=cmd|'/c calc'!A1",)]


def test_files_come_and_go_while_folders_are_listed(shop: Shop) -> None:
    folder = shop.settings.incoming / "shop"
    ended = threading.Event()

    def churn() -> None:
        while not ended.is_set():
            for number in range(50):
                (folder / f"{number}.csv").write_text(GOOD)
            for number in range(50):
                (folder / f"{number}.csv").unlink(missing_ok=True)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(30):
            deliveries(shop.contract, shop.settings, None, shop.now)
    finally:
        ended.set()
        thread.join()
