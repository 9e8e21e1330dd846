"""Processes to be killed. They start within milliseconds, so that a kill hits the work and not what comes before it."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

# Another one each time; a failure names it and can be repeated.
SEED = int(os.environ.get("WATERSHED_TEST_SEED", random.SystemRandom().randrange(1_000_000)))
# Where each step of a work is hit by a kill, ``make test`` hits one in so many, from another one on each time, and
# ``make test-long`` all of them.
STRIDE = 3
_CHILDREN = multiprocessing.get_context("forkserver")
# Where works lie, and what they import late; what is not here costs time in each child, nothing else.
_LIBRARIES = ("pandas", "pyarrow.dataset", "adbc_driver_postgresql.dbapi", "dlt.sources.helpers.rest_client")
_LAKE = ("transforms.lake.readers.delimited", "transforms.sources.files", "transforms.sources.objects")
_WORKS = (
    "tests.transforms.lake.test_kills",
    "tests.transforms.lake.test_exactly_once",
    "tests.transforms.sources.postgres.test_load_modes",
    "tests.transforms.sources.test_http_kills",
    "tests.transforms.identity.test_kills",
    "tests.transforms.value.test_kills",
    "tests.transforms.publishing.test_atomicity",
)
_CHILDREN.set_forkserver_preload(["__main__", __name__, *_LIBRARIES, *_LAKE, *_WORKS])


def _begin(begun: Connection, work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    begun.send_bytes(b"!")
    work(*arguments)


def start(work: Callable[..., object], *arguments: Any) -> BaseProcess:
    """A process at this work; it has begun when this returns."""
    receiver, sender = _CHILDREN.Pipe(duplex=False)
    process = _CHILDREN.Process(target=_begin, args=(sender, work, arguments))
    process.start()
    sender.close()
    receiver.recv_bytes()
    return process


class Moments:
    """Random moments within the time that a work takes; ``reach``, in seconds, follows the machine.

    What was killed gets more time, what came to its end gets less: some works end, most do not.
    """

    def __init__(self, seed: int, reach: float = 0.3):
        self._chance = random.Random(seed)
        self.reach = reach

    def kill(self, process: BaseProcess) -> bool:
        """Kill a process at such a moment; False where it had done its work by then.

        Raises:
            AssertionError: it ended with an error of its own.
        """
        process.join(self._chance.uniform(0, self.reach))
        process.kill()
        process.join()
        assert process.exitcode in {0, -signal.SIGKILL}, f"ended with {process.exitcode}"
        self.reach *= 0.6 if process.exitcode == 0 else 1.2
        return process.exitcode != 0
