"""What is said of a load while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from transforms.lake.records import FileRecord

# A line a second is enough for a person; a backfill may have thousands of files.
_PAUSE_SECONDS = 1


class Progress:
    """Says which files of a source have passed the gate: those that went wrong, the last one, some of the others."""

    def __init__(self, source: str, files: int, say: Callable[[str], None]):
        self._source, self._files, self._say = source, files, say
        self._passed = self._rows = 0
        self._started = self._said = time.monotonic()

    def add(self, record: FileRecord) -> None:
        """Take a file into account that has passed, or was refused."""
        self._passed += 1
        self._rows += record.rows_read
        now = time.monotonic()
        if self._passed < self._files and record.status == "loaded" and now - self._said < _PAUSE_SECONDS:
            return
        self._said = now
        self._say(
            f"{self._source}: file {self._passed}/{self._files} {record.status}, {record.rows_read:,} rows,"
            f" {self._rows:,} in all, {now - self._started:.1f} s"
        )
