"""One writer at a time: a lock on a file that the kernel drops when its holder dies."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_SECONDS = 0.5


class LockedError(TimeoutError):
    """Somebody else holds the lock; the message says who and since when."""


@contextmanager
def exclusive(
    path: Path, holder: str, timeout_seconds: float, on_wait: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold the lock file ``path`` while the block runs.

    ``on_wait`` is told once who holds it. A kill of the holder frees the lock at once: the kernel keeps it, not the
    content of the file, which only says whom to ask.

    Raises:
        LockedError: it was not free within ``timeout_seconds``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + timeout_seconds
    told = False
    with path.open("a+", encoding="utf-8") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                text = f"{_holder(path)} holds {path}"
                if time.monotonic() >= deadline:
                    raise LockedError(
                        f"{text}; waited {timeout_seconds:.0f} s. Wait for it to end, or raise"
                        " WATERSHED_LOCK_TIMEOUT_SECONDS."
                    ) from None
                if on_wait and not told:
                    on_wait(f"waiting: {text}")
                    told = True
                time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))
        stream.truncate(0)
        since = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        stream.write(json.dumps({"holder": holder, "process": os.getpid(), "since": since}))
        stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)
            fcntl.flock(stream, fcntl.LOCK_UN)


def _holder(path: Path) -> str:
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        return f"{entry['holder']} (process {entry['process']}, since {entry['since']})"
    except (ValueError, KeyError, OSError):
        return "another process"
