"""dbt as a process that costs nothing to start: it asks the standby to be it, and ends as the standby's fork ends.

Run as a file by a bare interpreter (``python -I -S dbt_start.py build …``), so it imports nothing but the standard
library. Without a standby, or with one that has gone, it becomes ``python -m orchestration.dbt_run`` itself.
"""

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence

STANDBY = "WATERSHED_DBT_STANDBY"
"""Names the environment variable with the path of the standby's socket."""
NUMBER = 8
"""Bytes of each number that goes over the socket."""


def received(connection: socket.socket, size: int) -> bytes:
    """So many bytes, fewer only where the other side has gone."""
    parts = b""
    while len(parts) < size and (part := connection.recv(size - len(parts))):
        parts += part
    return parts


def _number(connection: socket.socket) -> int:
    return int.from_bytes(received(connection, NUMBER), "big")


def _by_standby(place: str, arguments: Sequence[str]) -> None:
    """Have the standby do it and exit as it did; returns where there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(place)
            # pathlib alone would double the time that this start takes.
            folder = os.getcwd()  # noqa: PTH109
            request = json.dumps([arguments, dict(os.environ), folder]).encode()
            # Standard input too: it is what holds the run's lock.
            socket.send_fds(connection, [len(request).to_bytes(NUMBER, "big")], [0, 1, 2])
            connection.sendall(request)
            worker = _number(connection)
        except OSError:
            return
        if not worker:
            return
        for stop in (signal.SIGINT, signal.SIGTERM):
            signal.signal(stop, lambda number, _: os.kill(worker, number))
        answer = received(connection, NUMBER)
    if not answer:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
        sys.exit("dbt's standby process was killed, and dbt with it")
    code = os.waitstatus_to_exitcode(int.from_bytes(answer, "big"))
    if code < 0:
        with contextlib.suppress(OSError):  # nobody may handle a kill
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


def main() -> None:
    """The command; exit codes are dbt's."""
    arguments = sys.argv[1:]
    if place := os.environ.pop(STANDBY, None):
        _by_standby(place, arguments)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "orchestration.dbt_run", *arguments])  # noqa: S606


if __name__ == "__main__":
    main()
