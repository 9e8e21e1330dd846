"""The ``watershed`` command from a process that has imported Dagster: a start of its own takes four CPU seconds.

``python -m tests.orchestration.ready N`` serves the requests that come by the socket with that number. Each command is
a fork, with the environment, the output and the exit code of a command that somebody typed.
"""

from __future__ import annotations

import array
import atexit
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from functools import cache
from multiprocessing.connection import wait
from typing import IO

from orchestration import cli
from orchestration.dbt_standby import Standby
from orchestration.dbt_start import STANDBY
from tests.conftest import PROJECT
from transforms.contracts.document import read_document
from transforms.quick_imports import quick_imports
from transforms.settings import Settings

_STATUS = struct.Struct("i")


class Command:
    """A command at work, with what tests use of ``subprocess.Popen``."""

    def __init__(self, arguments: tuple[str, ...], environment: dict[str, str]):
        self.returncode: int | None = None
        self._said = ["", ""]
        self._status, theirs = socket.socketpair()
        outputs = [os.pipe() for _ in self._said]
        request = json.dumps([arguments, {STANDBY: _standby().place()} | environment]).encode()
        socket.send_fds(_server(), [request], [theirs.fileno(), *(write for _, write in outputs)])
        theirs.close()
        # What nobody reads would stop who writes.
        self._readers = [
            threading.Thread(target=self._read, args=(number, os.fdopen(read, encoding="utf-8")), daemon=True)
            for number, (read, _) in enumerate(outputs)
        ]
        for reader, (_, write) in zip(self._readers, outputs, strict=True):
            os.close(write)
            reader.start()
        self.pid: int = self._number()

    def _read(self, number: int, output: IO[str]) -> None:
        with output:
            self._said[number] = output.read()

    def _number(self) -> int:
        (number,) = _STATUS.unpack(self._status.recv(_STATUS.size))
        return number

    def poll(self) -> int | None:
        """Exit code, or minus the signal that ended it; None while it works."""
        if self.returncode is None and wait([self._status], 0):
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not wait([self._status], timeout):
                raise subprocess.TimeoutExpired("watershed", timeout or 0)
            self.returncode = os.waitstatus_to_exitcode(self._number())
            self._status.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it said, when it and all that it started have closed their outputs."""
        for reader in self._readers:
            reader.join(timeout)
            if reader.is_alive():
                raise subprocess.TimeoutExpired("watershed", timeout or 0)
        self.wait(timeout)
        return self._said[0], self._said[1]

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


@cache
def _standby() -> Standby:
    """One that all runs of this process share: a run's own imports dbt once more."""
    standby = Standby()
    atexit.register(standby.__exit__, None, None, None)
    return standby


@cache
def _server() -> socket.socket:
    """The socket of this process's own server, which goes when this process does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", __name__, str(theirs.fileno())]
    process = subprocess.Popen(
        command, cwd=PROJECT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _serve(requests: socket.socket) -> None:
    """Fork for each request until nobody is there to ask; returns in a fork, which is to do what was asked for."""
    at_work: dict[int, socket.socket] = {}
    woken, waker = socket.socketpair()
    for end in (woken, waker):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker.fileno())
    while True:
        ready = wait([requests, woken])
        if woken in ready:
            woken.recv(4096)
            for pid in list(at_work):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    with at_work.pop(pid) as asker:
                        asker.send(_STATUS.pack(status))
        if requests not in ready:
            continue
        request, descriptors = _received(requests)
        if not request:
            sys.exit()
        status, *outputs = descriptors
        asker = socket.socket(fileno=status)
        if pid := os.fork():
            at_work[pid] = asker
            asker.send(_STATUS.pack(pid))
            for output in outputs:
                os.close(output)
            continue
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for connection in (requests, woken, waker, asker, *at_work.values()):
            connection.close()
        for number, output in enumerate(outputs, start=1):
            os.dup2(output, number)
            os.close(output)
        arguments, environment = json.loads(request)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["watershed", *arguments]
        return


def _received(requests: socket.socket) -> tuple[bytes, array.array[int]]:
    descriptors = array.array("i")
    request, ancillary, _, _ = requests.recvmsg(1 << 20, socket.CMSG_SPACE(3 * descriptors.itemsize))
    for _, _, data in ancillary:
        descriptors.frombytes(data)
    return request, descriptors


def main() -> None:
    """Import what commands import late, serve, and be each command."""
    with quick_imports("dagster"):
        import orchestration.pipeline
        import orchestration.runs  # noqa: F401

        # Each command would check the same texts anew. No more of them than that: a fork of DuckDB is a broken one.
        settings = Settings()
        for folder in (settings.entities, settings.contracts):
            for file in folder.glob("*.odcs.yaml"):
                read_document(file)
    _serve(socket.socket(fileno=int(sys.argv[1])))
    cli.main()


if __name__ == "__main__":
    main()
