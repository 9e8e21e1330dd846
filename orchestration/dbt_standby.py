"""One process that has imported dbt and read the project stands by; each dbt of a run is a fork of it.

A run starts dbt three times, between which identity and value are worked out, and each start imports dbt and reads the
parsed project: two CPU seconds. The standby does this once, at the first start, and goes when its run does.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

from orchestration.dbt_arguments import PARSED
from orchestration.dbt_run import parsed_project, run_dbt, spare_unread_events
from orchestration.dbt_start import NUMBER, received
from transforms.quick_imports import quick_imports, unsearched

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest


class Standby:
    """The standby process of a run, which is started when its place is asked for first."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def place(self) -> str:
        """Path of its socket."""
        if self._folder is None:
            # Not in the home, whose path may be longer than a socket's may be.
            self._folder = Path(mkdtemp(prefix="watershed-dbt-"))
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
                listener.bind(str(self._folder / "socket"))
                # From now on who asks is heard, however long the imports take.
                listener.listen()
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", __name__, str(listener.fileno())],
                    pass_fds=[listener.fileno()],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                )
        return str(self._folder / "socket")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process and self._process.stdin:
            # It ends when its input does, so also when this process is killed.
            self._process.stdin.close()
            self._process.wait()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


class _Worker:
    """A fork that is some dbt, and who asked for it."""

    def __init__(self, pid: int, asker: socket.socket, alive: socket.socket) -> None:
        self.pid, self.asker, self.alive = pid, asker, alive

    def close(self) -> None:
        self.asker.close()
        self.alive.close()


def _serve(listener: socket.socket, project: _Project) -> list[str]:
    """Fork for each request until the standard input ends; returns in a fork, with the arguments that dbt got."""
    workers: list[_Worker] = []
    while True:
        # Its input ends when nobody needs it; who is at work then is let end first.
        ends = [end for worker in workers for end in (worker.asker, worker.alive)]
        ready = wait([listener, *(ends or [0])])
        for worker in list(workers):
            if worker.alive in ready:
                _, status = os.waitpid(worker.pid, 0)
                _told(worker.asker, status)
            elif worker.asker in ready:  # it was killed, and with it its dbt
                os.kill(worker.pid, signal.SIGKILL)
                os.waitpid(worker.pid, 0)
            else:
                continue
            worker.close()
            workers.remove(worker)
        if listener in ready:
            asker, _ = listener.accept()
            size, descriptors, *_ = socket.recv_fds(asker, NUMBER, 3)
            try:
                arguments, environment, folder = json.loads(received(asker, int.from_bytes(size, "big")))
            except ValueError:  # it was killed while it asked
                asker.close()
                _close(descriptors)
                continue
            with suppress(Exception), unsearched():  # what is wrong with it is for the fork to say
                project.read(Path(environment[PARSED]))
            alive, theirs = socket.socketpair()
            if pid := os.fork():
                theirs.close()
                _close(descriptors)
                _told(asker, pid)
                workers.append(_Worker(pid, asker, alive))
                continue
            # ``theirs`` stays open to the very end, and tells of it.
            theirs.detach()
            for connection in (listener, asker, alive):
                connection.close()
            for other in workers:
                other.close()
            _become(environment, folder, descriptors)
            return list(arguments)
        if 0 in ready:
            shutil.rmtree(Path(listener.getsockname()).parent, ignore_errors=True)
            sys.exit()


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _told(asker: socket.socket, number: int) -> None:
    with suppress(OSError):  # it was killed in the meantime, which is seen next
        asker.sendall(number.to_bytes(NUMBER, "big"))


def _become(environment: Mapping[str, str], folder: str, descriptors: Iterable[int]) -> None:
    """Take over environment, folder, input and outputs of who asked."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)


class _Project:
    """The parsed project that was asked for last: the same for all runs, unless its files change."""

    def __init__(self) -> None:
        self._parsed = b""
        self._manifest: Manifest | None = None

    def read(self, place: Path) -> Manifest:
        """As dbt is to get it; a fork has what was read before it."""
        parsed = place.read_bytes()
        if self._manifest is None or parsed != self._parsed:
            self._manifest = parsed_project(place)
            self._parsed = parsed
        return self._manifest


def main() -> NoReturn:
    """Stand by, and be each dbt that is asked for."""
    # An interrupt of the terminal is meant for dbt, which gets it too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with quick_imports("dbt.cli.main"):
        import dbt.adapters.duckdb
        import dbt.cli.main  # noqa: F401

        spare_unread_events()
    project = _Project()
    arguments = _serve(socket.socket(fileno=int(sys.argv[1])), project)
    run_dbt(arguments, project.read(Path(os.environ[PARSED])))


if __name__ == "__main__":
    main()
