"""``watershed serve``: Dagster's pages and daemon as one service, until it is told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from orchestration.commands.common import FAILED, LOCKED, read_contracts, read_settings, stop
from transforms.locking import LockedError, exclusive
from transforms.settings import PROJECT_DIR, Settings

_MODULE = "orchestration.definitions"
# How long the parts may take to end: a run in progress is told to stop, and dbt with it.
_STOP_SECONDS = 60
_LOOK_SECONDS = 1.0
# The name of the location is part of what switches a schedule on: it must not change from start to start.
_WORKSPACE = """# Written by `watershed serve` at each start.
load_from:
  - grpc_server: {{socket: {socket}, location_name: {module}}}
"""


def serve(
    host: Annotated[str, typer.Option(help="Address of the pages; they have no login of their own.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the pages.")] = 3000,
    read_only: Annotated[bool, typer.Option("--read-only", help="Pages that can start nothing.")] = False,
) -> None:
    """Run Dagster's pages and daemon: schedule, sensors, queue. Ends with SIGTERM, and as soon as one of them ends.

    Exit codes: 0 told to stop, 1 a part of it ended, 2 a contract has a fault, 3 another serve runs on this home.
    """
    settings = read_settings()
    read_contracts(settings)
    try:
        with exclusive(settings.home / "dagster" / "serve.lock", "watershed serve", timeout_seconds=0):
            _prepare(settings)
            ended = _run_parts(settings, host, port, read_only)
    except LockedError as error:
        raise stop(str(error), LOCKED) from error
    if ended:
        text = f"{ended} ended by itself; its last words are above. The other part was stopped: start serve again."
        raise stop(text, FAILED)


def _prepare(settings: Settings) -> None:
    """Bring the Dagster home into shape, and close the runs that nobody executes any more."""
    import dagster as dg

    from orchestration.dbt_parse import prepare_manifest
    from orchestration.pipeline import dagster_home
    from orchestration.runs import close_abandoned

    prepare_manifest(settings)
    home = dagster_home(settings)
    try:
        # Whoever has the lock knows that no run is at work.
        with (
            exclusive(settings.run_lock, "watershed serve, starting", timeout_seconds=0),
            dg.DagsterInstance.from_config(str(home)) as instance,
        ):
            for run in close_abandoned(instance, None, 0):
                typer.echo(f"Run {run} was killed; the next one completes its work.", err=True)
    except LockedError as error:
        typer.echo(f"A run goes on meanwhile: {error}", err=True)


def _run_parts(settings: Settings, host: str, port: int, read_only: bool) -> str | None:
    """Start both parts and wait; returns the name of the one that ended by itself, None when told to stop."""
    environment = os.environ | {"DAGSTER_HOME": str(settings.home / "dagster"), "DO_NOT_TRACK": "1"}
    beside = Path(sys.executable).parent
    with tempfile.TemporaryDirectory(prefix="watershed-") as folder:
        # One code server for both: each of its own would hold 300 MB once more. Paths of sockets must be short.
        socket = Path(folder) / "code.sock"
        workspace = settings.home / "dagster" / "workspace.yaml"
        workspace.write_text(_WORKSPACE.format(socket=socket, module=_MODULE), encoding="utf-8")
        # Not `dagster code-server`: what that starts ends for good, unseen, when the clock jumps by half a minute.
        code = [beside / "dagster", "api", "grpc", "-m", _MODULE, "--socket", socket, "--log-level", "warning"]
        code += ["--location-name", _MODULE]
        pages = [beside / "dagster-webserver", "-h", host, "-p", str(port), "-w", workspace]
        pages += ["--read-only"] if read_only else []
        daemon = [beside / "dagster-daemon", "run", "-w", workspace, "--log-level", "warning"]
        commands = {"the code server": code, "the web server": pages, "the daemon": daemon}
        return _watch(commands, environment, f"Dagster on http://{host}:{port}, home {settings.home}", socket)


def _watch(commands: dict[str, list[Any]], environment: dict[str, str], ready: str, socket: Path) -> str | None:
    parts: dict[str, subprocess.Popen[bytes]] = {}
    stopping: list[int] = []

    def told_to_stop(number: int, _: FrameType | None) -> None:
        stopping.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told_to_stop)
    try:
        for name, command in commands.items():
            # In sessions of their own, so that an interrupt at the terminal reaches them by us alone, in order.
            parts[name] = subprocess.Popen(
                [str(word) for word in command], cwd=PROJECT_DIR, env=environment, start_new_session=True
            )
            while not socket.exists() and parts[name].poll() is None and not stopping:
                time.sleep(0.2)
        typer.echo(ready, err=True)
        while not stopping:
            for name, part in parts.items():
                if part.poll() is not None:
                    return name
            time.sleep(_LOOK_SECONDS)
        return None
    finally:
        _stop_parts(list(parts.values())[::-1])


def _stop_parts(parts: list[subprocess.Popen[bytes]]) -> None:
    """Interrupt each part with all that it started, a run in progress included, and end what has not ended in time."""
    deadline = time.monotonic() + _STOP_SECONDS
    for part in parts:
        with suppress(ProcessLookupError):
            os.killpg(part.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            part.wait(max(0.1, deadline - time.monotonic()))
        with suppress(ProcessLookupError):
            os.killpg(part.pid, signal.SIGKILL)
        part.wait()
