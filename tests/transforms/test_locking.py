"""One writer at a time."""

from __future__ import annotations

import itertools
import multiprocessing
import multiprocessing.queues
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from transforms.locking import LockedError, exclusive, handed_on


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


def test_a_clock_that_jumps_does_not_end_the_wait(
    tmp_path: Path, holder: multiprocessing.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine that was put to sleep for an hour while somebody waited."""
    hours = itertools.count(start=0, step=3600)
    clock = SimpleNamespace(sleep=time.sleep, monotonic=lambda: float(next(hours)))
    monkeypatch.setattr("transforms.locking.time", clock)
    with exclusive(tmp_path / "run.lock", "second", 30, lambda _: holder.terminate()):
        pass


def _hold_with_child(path: Path, ready: multiprocessing.queues.Queue) -> None:
    with exclusive(path, "the other run", 0) as descriptor:
        with handed_on(descriptor):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        ready.put(child.pid)
        time.sleep(60)


def test_a_child_that_still_writes_keeps_the_lock_of_its_killed_parent(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    parent = context.Process(target=_hold_with_child, args=(path, ready))
    parent.start()
    child = ready.get(timeout=30)
    parent.kill()
    parent.join()
    told: list[str] = []

    def end_the_child(text: str) -> None:
        told.append(text)
        os.kill(child, signal.SIGKILL)

    message = rf"process {parent.pid}, since .*; it has ended, what it started still works"
    with pytest.raises(LockedError, match=message), exclusive(path, "second", 0):
        pytest.fail("two write")
    with exclusive(path, "second", 30, end_the_child):
        assert told and "the other run" in told[0]


def test_the_standard_input_is_back_when_the_lock_was_handed_on(tmp_path: Path) -> None:
    before = os.fstat(0)
    with exclusive(tmp_path / "run.lock", "me", 0) as descriptor:
        with handed_on(descriptor):
            assert os.path.samestat(os.fstat(0), os.fstat(descriptor))
        assert os.path.samestat(os.fstat(0), before)
    with exclusive(tmp_path / "run.lock", "next", 0):
        pass


def test_a_child_keeps_the_lock_when_its_parent_gives_up_in_order(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with exclusive(path, "me", 0) as descriptor, handed_on(descriptor):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(LockedError, match="another process holds"), exclusive(path, "next", 0):
        pytest.fail("the child still writes")
    child.kill()
    child.wait()
    with exclusive(path, "next", 0):
        pass
