"""One publisher at a time, per published file."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from transforms.publishing.errors import PublicationError

_POLL_SECONDS = 0.1


@contextlib.contextmanager
def publisher_lock(target: Path, owner: str, timeout_seconds: float, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of ``target`` (a ``flock`` on ``.<name>.lock`` beside it) for the block.

    The kernel releases it when the process ends, however it ends. ``waiting`` is told once who
    holds the lock. Raises PublicationError when it isn't free after ``timeout_seconds``.
    """
    path = target.with_name(f".{target.name}.lock")
    # 0600: whoever can open the file can hold the lock, and readers have no business with it.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(descriptor, path, timeout_seconds, waiting)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{owner}, process {os.getpid()}".encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, timeout_seconds: float, waiting: Callable[[str], None]) -> None:
    deadline = time.monotonic() + timeout_seconds
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 500, 0).decode(errors="replace") or "another process"
            if time.monotonic() >= deadline:
                raise PublicationError(
                    f"{path} is still held by {holder} after {timeout_seconds:g} s: wait for it to finish,"
                    " or raise WATERSHED_LOCK_TIMEOUT_SECONDS."
                ) from None
            if not told:
                waiting(f"waiting for {holder}, which is publishing")
                told = True
            time.sleep(_POLL_SECONDS)
        else:
            return
