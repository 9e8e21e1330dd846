"""One writer at a time: a lock on a file that the kernel drops when the last of its holders dies."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.5


class LockedError(TimeoutError):
    """Somebody else holds the lock; the message says who and since when."""


@dataclass(frozen=True)
class Holder:
    """Who wrote itself into a lock file: what it does, its process, and since when (UTC)."""

    name: str
    process: int
    since: dt.datetime

    @property
    def is_alive(self) -> bool:
        """Whether that process still runs on this machine."""
        try:
            os.kill(self.process, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            return True
        return True

    def __str__(self) -> str:
        ended = "" if self.is_alive else "; it has ended, what it started still works"
        return f"{self.name} (process {self.process}, since {self.since.isoformat(timespec='seconds')}{ended})"


@contextmanager
def exclusive(
    path: Path, holder: str, timeout_seconds: float, on_wait: Callable[[str], None] | None = None
) -> Iterator[int]:
    """Hold the lock file ``path`` while the block runs; yields its descriptor, for ``handed_on``.

    ``on_wait`` is told once who holds it. A kill of the holder frees the lock at once: the kernel keeps it, not the
    content of the file, which only says whom to ask. Where the lock was handed on to a child, the child keeps it.

    Raises:
        LockedError: it was not free within ``timeout_seconds``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Naps are counted, not the clock: while a machine sleeps or is moved, the holder stands still as well.
    left = timeout_seconds
    told = False
    with path.open("a+", encoding="utf-8") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                text = f"{read_holder(path) or 'another process'} holds {path}"
                if left <= 0:
                    raise LockedError(
                        f"{text}; waited {timeout_seconds:.0f} s. Wait for it to end, or raise"
                        " WATERSHED_LOCK_TIMEOUT_SECONDS."
                    ) from None
                if on_wait and not told:
                    on_wait(f"waiting: {text}")
                    told = True
                time.sleep(min(POLL_SECONDS, left))
                left -= POLL_SECONDS
        stream.truncate(0)
        since = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        stream.write(json.dumps({"holder": holder, "process": os.getpid(), "since": since}))
        stream.flush()
        try:
            yield stream.fileno()
        finally:
            # Closed, not unlocked: an unlock would take the lock from a child that still writes.
            stream.truncate(0)


@contextmanager
def handed_on(descriptor: int) -> Iterator[None]:
    """Let processes that are started within the block hold the lock too, until they end.

    They get it as their standard input: the one descriptor that every library hands to a child without being asked.
    A writer whose parent was killed then keeps the others out until it has ended itself.
    """
    try:
        before = os.dup(0)
    except OSError:
        before = None
    os.dup2(descriptor, 0)
    try:
        yield
    finally:
        if before is None:
            os.close(0)
        else:
            os.dup2(before, 0)
            os.close(before)


def read_holder(path: Path) -> Holder | None:
    """Who wrote itself into a lock file last and did not leave in order; None where nobody did.

    The text alone does not say that the lock is held: a killed holder leaves it behind.
    """
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        return Holder(str(entry["holder"]), int(entry["process"]), dt.datetime.fromisoformat(entry["since"]))
    except (ValueError, KeyError, TypeError, OSError):
        return None
