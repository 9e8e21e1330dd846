"""A file that is hashed on its way to the disk, while whoever delivers it goes on."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import mmap
import os
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

# What is handed over at once; whole pages, as the disk takes them without the page cache.
_PART = 4 << 20
# Small enough to be in the processor's cache when it is looked at several times.
_READ_AT_ONCE = 1 << 18
# A file up to this size stays in the page cache, where its reader finds it at fewer CPU seconds than on the way there.
CACHED = 4 << 30
_DIRECT = getattr(os, "O_DIRECT", 0)


class HashedFile(io.RawIOBase):
    """A stream into a new file; one part is written and hashed in ``pool`` while the next one comes.

    ``size`` are the bytes that have come; ``watch`` is shown them all, in their order. ``expected`` is how many will
    come, None where that is not known.

    A file of more than four gigabytes goes past the page cache, where the file system can do that; one of unknown size
    as soon as it is that large. By way of the cache a file of 10 GB takes twice as long and twice the CPU seconds: it
    waits there to be written back, and drives out what others read.
    """

    def __init__(
        self,
        descriptor: int,
        pool: Executor,
        watch: Callable[[memoryview], None] | None = None,
        expected: int | None = None,
    ):
        super().__init__()
        self._cached = 0 if expected is not None and expected > CACHED else CACHED
        self._descriptor, self._pool, self._watch = descriptor, pool, watch
        self._filling, self._handed = (memoryview(mmap.mmap(-1, _PART)) for _ in range(2))
        self._filled = self._written = 0
        self.size = 0
        self._working: list[Future[None]] = []
        self._sha256 = hashlib.sha256()
        self._past_cache = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        self.size += size
        while left:
            taken = min(len(left), _PART - self._filled)
            self._filling[self._filled : self._filled + taken] = left[:taken]
            left = left[taken:]
            self._filled += taken
            if self._filled == _PART:
                self._hand_over()
        return size

    def complete(self) -> str:
        """Wait until the file has all bytes; returns its SHA-256 in hexadecimal digits. It may not be on the disk yet.

        Raises:
            OSError: the disk is full or damaged.
        """
        self._wait()
        last = self._filling[: self._filled]
        self._write(last)
        self._read(last)
        self._filled = 0
        return self._sha256.hexdigest()

    def _hand_over(self) -> None:
        self._wait()
        self._filling, self._handed, self._filled = self._handed, self._filling, 0
        self._working = [self._pool.submit(work, self._handed) for work in (self._write, self._read)]

    def _wait(self) -> None:
        working, self._working = self._working, []
        for work in working:
            work.result()

    def _read(self, part: memoryview) -> None:
        for begin in range(0, len(part), _READ_AT_ONCE):
            piece = part[begin : begin + _READ_AT_ONCE]
            self._sha256.update(piece)
            if self._watch:
                self._watch(piece)

    def _write(self, part: memoryview) -> None:
        self._go_past_cache(self._written >= self._cached and len(part) == _PART)
        left = part
        while left:
            try:
                # What goes by way of the cache goes in small pieces: for large ones the kernel looks for large pages.
                piece = left if self._past_cache else left[:_READ_AT_ONCE]
                left = left[os.write(self._descriptor, piece) :]
            except OSError as error:
                if error.errno != errno.EINVAL or not self._past_cache:
                    raise
            # What was not taken, or not as a whole, begins amid a page.
            if left:
                self._go_past_cache(False)
        self._written += len(part)

    def _go_past_cache(self, wanted: bool) -> None:
        if wanted == self._past_cache or not _DIRECT:
            return
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | _DIRECT if wanted else flags & ~_DIRECT)
        except OSError:
            # Not every file system can.
            return
        self._past_cache = wanted
