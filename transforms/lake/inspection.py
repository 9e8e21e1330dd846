"""One pass over a file's bytes before anything parses it: what kind it is, whether it is whole."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

# Small enough to stay in the processor's cache while it is looked at several times.
CHUNK = 1 << 18
# What inflates beyond these is an attack or a mistake; the ratio of real data stays under 50. A small file may well be
# one value over and over; a large one that is would keep the machine busy for hours.
MAX_INFLATION, FREE_BYTES, MAX_LARGE_INFLATION = 1_000, 1 << 30, 200
MAX_INFLATED_BYTES = 64 << 30
# Twice over what any row may hold; a line without end would be read into memory as a whole.
MAX_LINE_BYTES = 64 << 20
# Of Parquet, where a column of one value costs nothing at all, however many rows it has.
MAX_ROWS_PER_BYTE, FREE_ROWS = 100, 10_000_000
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"PK\x07\x08": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress",
    b"\xd0\xcf\x11\xe0": "Excel",
    b"PAR1": "Parquet",
}
_ENDINGS = {".gz": "gzip", ".zst": "zstd"}
_NEWLINE = ord("\n")
_TAR, _TAR_OFFSET = b"ustar", 257
_TAR_REFUSED = "archive: tar files are not read; deliver the files that it holds, plain, .gz or .zst"


class BrokenFileError(ValueError):
    """The file cannot be taken as a whole; the message is the reason that the file's record keeps."""


@dataclass(frozen=True)
class Inspection:
    """Shape of a text file: line count, with the bytes that call for care."""

    compression: str | None
    lines: int
    has_bom: bool
    carriage_returns: int
    is_utf8: bool


def compression_of(path: Path) -> str | None:
    """Compression that the file's ending promises: gzip, zstd or None.

    Raises:
        BrokenFileError: the first bytes are those of another kind of file, or of an archive.
    """
    promised = _ENDINGS.get(path.suffix.lower())
    with path.open("rb") as stream:
        head = stream.read(_TAR_OFFSET + len(_TAR))
    if not head:
        raise BrokenFileError("empty: the file has no bytes")
    found = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    if found in {"Excel", "Parquet"}:
        raise BrokenFileError(f"format: the content is {found}; name it as 'format' in the contract, or deliver text")
    if _is_tar(head):
        raise BrokenFileError(_TAR_REFUSED)
    if found not in {None, "gzip", "zstd"}:
        workbook = ", a workbook a contract with 'format: excel'" if found == "zip" else ""
        raise BrokenFileError(f"archive: {found} files are not read; deliver plain, .gz or .zst files{workbook}")
    if found != promised:
        is_text = "not compressed" if found is None else f"{found} data"
        raise BrokenFileError(f"compression: the ending says {promised or 'not compressed'}, the content is {is_text}")
    return promised


def _is_tar(head: bytes | bytearray) -> bool:
    return head[_TAR_OFFSET:].startswith(_TAR)


def refuse_swollen(path: Path, rows: int) -> None:
    """Stop at a columnar file that claims more rows than its bytes can hold.

    Raises:
        BrokenFileError: names both figures.
    """
    size = path.stat().st_size
    if rows > max(FREE_ROWS, MAX_ROWS_PER_BYTE * size):
        raise BrokenFileError(f"inflation: {rows:,} rows in {size:,} bytes; no table of records is that uniform")


@contextmanager
def open_bytes(path: Path, compression: str | None) -> Iterator[BinaryIO]:
    """Open a file for reading its uncompressed bytes."""
    if compression == "gzip":
        with gzip.open(path, "rb") as stream:
            yield stream  # type: ignore[misc]
    elif compression == "zstd":
        # Arrow's own stream cannot be read line by line.
        with pa.input_stream(str(path), compression="zstd") as raw, io.BufferedReader(raw) as stream:  # type: ignore[arg-type]
            yield stream
    else:
        with path.open("rb") as stream:
            yield stream


class TextCount:
    """What a text's bytes tell of it, part by part in their order, whoever reads them.

    ``fault`` is the reason for which the file cannot be taken, once there is one: then the rest does not matter.
    """

    def __init__(self) -> None:
        self.size = 0
        self.fault: str | None = None
        self._lines = self._returns = self._unbroken = 0
        self._last = b""
        self._has_bom = False
        self._is_utf8 = self._is_between_characters = True
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._chunk, self._ends = bytearray(CHUNK), np.empty(CHUNK, np.bool_)

    def add(self, part: bytes | memoryview) -> None:
        """Count the bytes that come next."""
        for begin in range(0, len(part), CHUNK):
            if self.fault:
                return
            piece = part[begin : begin + CHUNK]
            if len(piece) < CHUNK:
                self._add(bytearray(piece))
            else:
                # The same memory each time: what a thread gets anew and gives back costs more than the counting.
                self._chunk[:] = piece
                self._add(self._chunk)

    def _add(self, chunk: bytearray) -> None:
        if self.size == 0:
            if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                self.fault = "encoding: UTF-16; deliver UTF-8"
                return
            if _is_tar(chunk):
                self.fault = _TAR_REFUSED
                return
            self._has_bom = chunk.startswith(codecs.BOM_UTF8)
        if b"\x00" in chunk:
            self.fault = "encoding: NUL bytes; this is not UTF-8 text"
            return
        self.size += len(chunk)
        ends = self._ends[: len(chunk)]
        np.equal(np.frombuffer(chunk, np.uint8), _NEWLINE, out=ends)
        found = int(np.count_nonzero(ends))
        self._lines += found
        self._unbroken = 0 if found else self._unbroken + len(chunk)
        if self._unbroken > MAX_LINE_BYTES:
            self.fault = f"line ends: none in {MAX_LINE_BYTES:,} bytes after line {self._lines}"
        # Few files have any: finding none is quicker than counting.
        self._returns += chunk.count(b"\r") if b"\r" in chunk else 0
        self._last = bytes(chunk[-1:])
        if self._is_utf8 and not (self._is_between_characters and chunk.isascii()):
            try:
                self._decoder.decode(chunk)
                self._is_between_characters = not self._decoder.getstate()[0]
            except UnicodeDecodeError:
                self._is_utf8 = False

    @property
    def is_plain(self) -> bool:
        """Whether all so far is UTF-8 without marks, its lines ended by one character each."""
        return self.fault is None and self._is_utf8 and not self._has_bom and not self._returns

    def result(self, compression: str | None) -> Inspection:
        """The text's shape, when all of it has come.

        Raises:
            BrokenFileError: it cannot be taken.
        """
        if self.fault:
            raise BrokenFileError(self.fault)
        if self.size == 0:
            raise BrokenFileError("empty: the file has no content")
        if self._lines == 0 and self._returns:
            raise BrokenFileError("line ends: lone carriage returns; deliver \\n or \\r\\n")
        if self._last != b"\n":
            raise BrokenFileError("half-written: the last line has no end; the file is taken up again when it changes")
        return Inspection(compression, self._lines, self._has_bom, self._returns, self._is_utf8)


def inspect_text(path: Path, counted: TextCount | None = None) -> Inspection:
    """Read a text file once; what was ``counted`` while it was written need not be read again.

    Raises:
        BrokenFileError: empty, truncated or damaged compression, an archive, UTF-16, NUL bytes, lone
            carriage returns as line ends, or a last line without its end (still being written).
    """
    compression = compression_of(path)
    if compression or counted is None:
        counted = _count(path, compression)
    return counted.result(compression)


def _count(path: Path, compression: str | None) -> TextCount:
    count = TextCount()
    packed = path.stat().st_size
    limit = max(min(packed * MAX_INFLATION, FREE_BYTES), packed * MAX_LARGE_INFLATION, CHUNK)
    limit = min(limit, MAX_INFLATED_BYTES) if compression else packed + CHUNK
    try:
        with open_bytes(path, compression) as stream:
            while not count.fault and (chunk := stream.read(CHUNK)):
                count.add(chunk)
                if count.size > limit:
                    raise BrokenFileError(f"inflation: {packed:,} bytes become more than {limit:,}; split the file")
    except (EOFError, zlib.error, OSError) as error:
        # An error with a number is the machine's (disk, permissions), not the file's: the next run tries again.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BrokenFileError(f"compression: {error}; the file is truncated or damaged") from error
    return count


def numbered_lines(path: Path, compression: str | None, limit: int) -> Iterator[tuple[int, bytes, bool]]:
    """Lines of a text file with their numbers from 1; of one longer than ``limit`` bytes only its beginning, False."""
    with open_bytes(path, compression) as stream:
        for number, line in enumerate(iter(partial(stream.readline, limit), b""), start=1):
            is_whole = line.endswith(b"\n") or len(line) < limit
            rest = b"" if is_whole else line
            while rest and not rest.endswith(b"\n"):
                rest = stream.readline(limit)
            yield number, line, is_whole


def first_line(path: Path, compression: str | None, limit: int) -> bytes:
    """First line of a file, uncompressed, without its end.

    Raises:
        BrokenFileError: it is longer than ``limit`` bytes.
    """
    with open_bytes(path, compression) as stream:
        line = stream.readline(limit)
    if len(line) == limit:
        raise BrokenFileError(f"columns: the first line is longer than {limit:,} bytes and no header")
    return line.rstrip(b"\r\n")
