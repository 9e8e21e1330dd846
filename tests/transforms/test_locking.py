"""One writer at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from transforms.locking import LockedError, exclusive


def _hold(path: Path, ready: multiprocessing.synchronize.Event) -> None:
    with exclusive(path, "the other run", 0):
        ready.set()
        time.sleep(60)


@pytest.fixture
def holder(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(tmp_path / "run.lock", ready))
    process.start()
    assert ready.wait(30)
    yield process
    process.kill()
    process.join()


def test_the_second_is_told_who_holds_it(tmp_path: Path, holder: multiprocessing.Process) -> None:
    told: list[str] = []
    message = rf"the other run \(process {holder.pid}, since .*\) holds .*run\.lock; waited 1 s"
    with pytest.raises(LockedError, match=message), exclusive(tmp_path / "run.lock", "me", 1, told.append):
        pytest.fail("two hold the lock")
    assert len(told) == 1 and "the other run" in told[0]


def test_a_killed_holder_frees_it_at_once(tmp_path: Path, holder: multiprocessing.Process) -> None:
    assert holder.pid
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with exclusive(tmp_path / "run.lock", "me", 0):
        pass


def test_the_second_waits_until_it_is_free(tmp_path: Path, holder: multiprocessing.Process) -> None:
    path = tmp_path / "run.lock"
    told: list[str] = []

    def end_the_first(text: str) -> None:
        told.append(text)
        holder.terminate()

    with exclusive(path, "second", 30, end_the_first):
        assert "second" in path.read_text()
    assert len(told) == 1 and "the other run" in told[0]
    assert path.read_text() == ""
