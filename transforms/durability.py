"""What must outlive a power cut: folders with their entries, and logs that grow by whole lines; why a disk fails."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# A disk with less room than this takes nothing worth writing.
_PROBE_BYTES = 1 << 20
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
# As SQLite words it, in which Dagster keeps its records.
_SQLITE = ("database or disk is full", "disk I/O error", "readonly database", "unable to open database file")


def why_unwritable(folder: Path) -> str | None:
    """Why nothing can be written into a folder, in the system's words; None where it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(_PROBE_BYTES))
            probe.flush()
    except OSError as error:
        return error.strerror or str(error)
    return None


def fault_of_disk(error: BaseException | None) -> str | None:
    """What an error, or one that led to it, says of the disk; None where it is about something else."""
    while error:
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
            return error.strerror
        if isinstance(error, sqlite3.OperationalError) and any(words in str(error) for words in _SQLITE):
            return str(error)
        error = error.__cause__ or error.__context__
    return None


def sync(*paths: Path) -> None:
    """Have the disk hold files, or the entries of folders, before anything that relies on them."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def append_lines(log: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Add entries to a log of JSON lines; when this returns they are on the disk."""
    lines = b"".join(json.dumps(entry, ensure_ascii=False).encode() + b"\n" for entry in entries)
    is_new = not log.exists()
    with log.open("ab+") as stream:
        # A line that was cut short must not swallow this one.
        if stream.seek(0, os.SEEK_END):
            stream.seek(-1, os.SEEK_END)
            lines = lines if stream.read(1) == b"\n" else b"\n" + lines
        stream.write(lines)
        stream.flush()
        os.fsync(stream.fileno())
    if is_new:
        sync(log.parent)


def read_lines(log: Path) -> list[dict[str, Any]]:
    """Entries of a log, oldest first; a line that was cut short is none: whoever wrote it was told of no success."""
    if not log.exists():
        return []
    entries = []
    # As bytes, because the cut may have gone through a character, and a text may hold a line separator of Unicode.
    for line in log.read_bytes().split(b"\n"):
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return entries
