"""One pass over a file's bytes before anything parses it: what kind it is, whether it is whole."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

CHUNK = 1 << 20
# A text file that inflates beyond this is an attack or a mistake; the ratio of real data stays under 50.
MAX_INFLATION = 1_000
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
}
_ENDINGS = {".gz": "gzip", ".zst": "zstd"}


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
        head = stream.read(6)
    if not head:
        raise BrokenFileError("empty: the file has no bytes")
    found = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    if found in {"zip", "bzip2", "xz"}:
        raise BrokenFileError(f"archive: {found} files are not read; deliver plain, .gz or .zst files")
    if found != promised:
        is_text = "not compressed" if found is None else f"{found} data"
        raise BrokenFileError(f"compression: the ending says {promised or 'not compressed'}, the content is {is_text}")
    return promised


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


def inspect_text(path: Path) -> Inspection:
    """Read a text file once.

    Raises:
        BrokenFileError: empty, truncated or damaged compression, an archive, UTF-16, NUL bytes, lone
            carriage returns as line ends, or a last line without its end (still being written).
    """
    compression = compression_of(path)
    lines = returns = size = 0
    last = b""
    has_bom = False
    is_utf8 = True
    decoder = codecs.getincrementaldecoder("utf-8")()
    limit = max(path.stat().st_size * MAX_INFLATION, CHUNK)
    try:
        with open_bytes(path, compression) as stream:
            while chunk := stream.read(CHUNK):
                if size == 0:
                    if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                        raise BrokenFileError("encoding: UTF-16; deliver UTF-8")
                    has_bom = chunk.startswith(codecs.BOM_UTF8)
                if b"\x00" in chunk:
                    raise BrokenFileError("encoding: NUL bytes; this is not UTF-8 text")
                size += len(chunk)
                if size > limit:
                    raise BrokenFileError(f"inflation: more than {MAX_INFLATION} times its compressed size")
                lines += chunk.count(b"\n")
                returns += chunk.count(b"\r")
                last = chunk[-1:]
                if is_utf8:
                    try:
                        decoder.decode(chunk)
                    except UnicodeDecodeError:
                        is_utf8 = False
    except (EOFError, zlib.error, OSError) as error:
        # An error with a number is the machine's (disk, permissions), not the file's: the next run tries again.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BrokenFileError(f"compression: {error}; the file is truncated or damaged") from error
    if size == 0:
        raise BrokenFileError("empty: the file has no content")
    if lines == 0 and returns:
        raise BrokenFileError("line ends: lone carriage returns; deliver \\n or \\r\\n")
    if last != b"\n":
        raise BrokenFileError("half-written: the last line has no end; the file is taken up again when it changes")
    return Inspection(compression, lines, has_bom, returns, is_utf8)


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
