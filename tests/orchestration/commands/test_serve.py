"""The service: which parts it is made of, and that it ends with any of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestration.commands import serve
from transforms.settings import Settings


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The service takes signals for itself; the tests go on without it."""
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


def test_no_part_ends_because_the_clock_jumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`dagster code-server` runs a process that ends where its parent's last sign of life seems half a minute old."""
    started: dict[str, list[str]] = {}

    def watch(commands: dict[str, list[Any]], *_: object) -> None:
        started.update({name: [str(word) for word in command] for name, command in commands.items()})

    monkeypatch.setattr(serve, "_watch", watch)
    (tmp_path / "dagster").mkdir()
    serve._run_parts(Settings(home=tmp_path), "127.0.0.1", 3000, False)
    assert started["the code server"][1:3] == ["api", "grpc"]
    workspace = tmp_path / "dagster" / "workspace.yaml"
    for name, command in started.items():
        assert "--heartbeat" not in command and "code-server" not in command, name
        # Pages and daemon start no code server of their own.
        assert name == "the code server" or str(workspace) in command
    socket = started["the code server"][started["the code server"].index("--socket") + 1]
    assert f"socket: {socket}" in workspace.read_text()


def test_a_part_that_ends_by_itself_ends_the_others_and_is_named(tmp_path: Path) -> None:
    socket = tmp_path / "code.sock"
    socket.touch()
    alive = tmp_path / "alive"
    commands: dict[str, list[Any]] = {
        "the code server": ["sh", "-c", f"echo $$ > {alive}; exec sleep 60"],
        "the web server": ["sleep", "60"],
        "the daemon": ["sh", "-c", f"while ! [ -s {alive} ]; do sleep 0.05; done"],
    }
    began = time.monotonic()
    assert serve._watch(commands, dict(os.environ), "ready", socket) == "the daemon"
    assert time.monotonic() - began < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int(alive.read_text()), 0)
