"""The landing folder holds each delivery's bytes as they came, under their SHA-256."""

from __future__ import annotations

import datetime as dt
import errno
import fcntl
import hashlib
import os
import random
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

import pytest

from transforms.lake import hashed_file
from transforms.lake.hashed_file import HashedFile
from transforms.lake.inspection import BrokenFileError, Inspection, TextCount, inspect_text
from transforms.lake.landing import land
from transforms.settings import Settings
from transforms.sources.delivery import Delivery

MB = 1 << 20


@pytest.mark.parametrize(
    "sizes",
    [[], [1], [10, 3 * MB, 1, 5 * MB, 7], [4 * MB, 4 * MB], [64 << 10] * 200],
    ids=["nothing", "a byte", "mixed", "just as handed over", "many small ones"],
)
@pytest.mark.parametrize("cached", [None, 0, 4 * MB], ids=["by way of the cache", "past it", "past it after a part"])
def test_a_delivery_lands_whole_under_its_own_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int], cached: int | None
):
    if cached is not None:
        monkeypatch.setattr(hashed_file, "CACHED", cached)
    chance = random.Random(7)
    pieces = [chance.randbytes(size) for size in sizes]

    def write(target: BinaryIO) -> None:
        for piece in pieces:
            # Whoever delivers may fill the same buffer again.
            buffer = bytearray(piece)
            assert target.write(buffer) == len(piece)
            buffer[:] = bytes(len(piece))

    settings = Settings(home=tmp_path)
    clock = lambda: dt.datetime(2025, 3, 1, tzinfo=dt.UTC)  # noqa: E731
    (landed,) = land(settings, "shop", [Delivery("a.csv", "1", write)], clock)
    whole = b"".join(pieces)
    assert landed.sha256 == hashlib.sha256(whole).hexdigest()
    assert landed.path.read_bytes() == whole
    assert [path.name for path in landed.path.parent.iterdir() if path.name.startswith(".")] == []


@pytest.fixture
def written_past_cache(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each write that is made of a file goes past the page cache."""
    seen: list[bool] = []
    write = os.write

    def spy(descriptor: int, data: memoryview) -> int:
        seen.append(bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT))
        return write(descriptor, data)

    monkeypatch.setattr(hashed_file.os, "write", spy)
    return seen


def _hashed(path: Path, content: bytes, expected: int | None = None) -> str:
    with path.open("wb", buffering=0) as target, ThreadPoolExecutor(2) as pool:
        stream = HashedFile(target.fileno(), pool, expected=expected)
        stream.write(content)
        return stream.complete()


@pytest.mark.parametrize(
    ("expected", "past", "writes"),
    [
        (None, [False, True, False], 2),
        (17 * MB, [True, False], 4),
        (8 * MB + 1, [True, False], 4),
        (8 * MB, [False, True, False], 2),
    ],
    ids=["unknown", "known", "just above", "less than comes"],
)
def test_a_large_file_goes_past_the_page_cache(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    written_past_cache: list[bool],
    expected: int | None,
    past: list[bool],
    writes: int,
) -> None:
    monkeypatch.setattr(hashed_file, "CACHED", 8 * MB)
    content = random.Random(7).randbytes(17 * MB)
    assert _hashed(tmp_path / "a", content, expected) == hashlib.sha256(content).hexdigest()
    # The end is no whole part.
    assert [past for past, _ in groupby(written_past_cache)] == past
    assert sum(written_past_cache) == writes
    assert (tmp_path / "a").read_bytes() == content


@pytest.mark.parametrize("cached", [0, 8 << 10, 12 << 10])
def test_bytes_and_hash_are_right_around_each_boundary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: int
) -> None:
    part = 4 << 10
    monkeypatch.setattr(hashed_file, "_PART", part)
    monkeypatch.setattr(hashed_file, "CACHED", cached)
    chance = random.Random(7)
    around = {parts * part + more for parts in range(6) for more in (-1, 0, 1)} - {-1}
    for size in sorted(around):
        content = chance.randbytes(size)
        for expected in (None, size):
            path = tmp_path / f"{size}-{expected}"
            assert _hashed(path, content, expected) == hashlib.sha256(content).hexdigest(), path.name
            assert path.read_bytes() == content, path.name


@pytest.mark.parametrize(("size", "moment"), [(None, 1), (4, 0)], ids=["made when asked for", "listed"])
def test_what_was_listed_has_arrived_when_it_begins_to_come(tmp_path: Path, size: int | None, moment: int) -> None:
    written = []

    def write(target: BinaryIO) -> None:
        written.append(target.write(b"a\n1\n"))

    def clock() -> dt.datetime:
        return dt.datetime(2025, 3, 1, 12, len(written), tzinfo=dt.UTC)

    (landed,) = land(Settings(home=tmp_path), "shop", [Delivery("a.csv", "1", write, size)], clock)
    assert landed.received_at.minute == moment


@pytest.mark.parametrize("taken", [0, 5, 4096], ids=["nothing", "some bytes", "a page"])
def test_a_disk_that_takes_no_part_past_the_cache_takes_it_by_way_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    monkeypatch.setattr(hashed_file, "CACHED", 0)
    write = os.write

    def choosy(descriptor: int, data: memoryview) -> int:
        if not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            return write(descriptor, data)
        if taken:
            flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
            fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~os.O_DIRECT)
            written = write(descriptor, data[:taken])
            fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)
            return written
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(hashed_file.os, "write", choosy)
    content = random.Random(7).randbytes(9 * MB)
    assert _hashed(tmp_path / "a", content) == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "a").read_bytes() == content


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hashed_file.os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        _hashed(tmp_path / "a", bytes(13 * MB))


def test_bytes_that_are_logged_make_way_only_for_bytes_that_the_disk_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path)
    clock = lambda: dt.datetime(2025, 3, 1, tzinfo=dt.UTC)  # noqa: E731

    def write(target: BinaryIO) -> None:
        target.write(b"a\n1\n")

    (first,) = land(settings, "shop", [Delivery("a.csv", "1", write)], clock)
    fsync = os.fsync
    synced: list[int] = []
    replace = Path.replace

    def fsync_noted(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def replaced(self: Path, target: Path) -> Path:
        assert target == first.path and self.stat().st_ino in synced
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync_noted)
    monkeypatch.setattr(Path, "replace", replaced)
    received = land(settings, "shop", [Delivery("a.csv", "2", write)], clock)
    assert [file.path for file in received] == [first.path, first.path]


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n" * 700_000 + "größe\r\n".encode() * 300_000,
        b"a\n" + "é".encode() * (256 << 10) + b"\n",
        b"\xef\xbb\xbfa\n\xff\n",
        b"a\rb\r",
        b"a\nb",
        b"a\n\x00\n",
        b"\xff\xfea\x00\n\x00",
        b"",
    ],
    ids=["long", "a letter across parts", "not UTF-8", "returns", "half", "NUL", "UTF-16", "nothing"],
)
def test_a_text_tells_the_same_while_it_comes_as_when_it_is_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    count = TextCount()
    with (tmp_path / "b.csv").open("wb", buffering=0) as target, ThreadPoolExecutor(2) as pool:
        stream = HashedFile(target.fileno(), pool, count.add)
        for begin in range(0, len(content), 100_003):
            stream.write(content[begin : begin + 100_003])
        stream.complete()
    assert _told(path, count) == _told(path, None)


def _told(path: Path, count: TextCount | None) -> Inspection | str:
    try:
        return inspect_text(path, count)
    except BrokenFileError as error:
        return str(error)
