"""What must outlive a power cut: folders with their entries, and logs that grow by whole lines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


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
