"""dbt from a standby process is dbt: same output, same exit codes, same answer to signals and kills."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration import dbt_start
from orchestration.dbt_arguments import dbt_environment
from orchestration.dbt_parse import prepare_manifest
from orchestration.dbt_standby import Standby
from orchestration.dbt_start import NUMBER, STANDBY
from transforms.settings import Settings

pytestmark = pytest.mark.xdist_group("dbt_project")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    prepare_manifest(settings)
    return settings


@pytest.fixture(scope="module")
def standby() -> Iterator[Standby]:
    with Standby() as standby:
        yield standby


def start(settings: Settings, place: str, *arguments: str, **more: str) -> subprocess.Popen[str]:
    """As Dagster starts it."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", dbt_start.__file__, "--log-format", "text", *arguments],
        env={**os.environ, **dbt_environment(settings), STANDBY: place, **more},
        cwd=settings.dbt_project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def command_of(pid: int) -> bytes:
    """Command line of a process; empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def forks(standby: Standby) -> list[int]:
    """The processes that are some dbt; ``multiprocessing`` has one beside them."""
    assert standby._process is not None
    pid = standby._process.pid
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [child for child in children if command_of(child) == command_of(pid)]


def at_work(settings: Settings, standby: Standby) -> tuple[subprocess.Popen[str], int]:
    """A build that has begun, and its fork."""
    place = standby.place()
    listed(settings, place)  # by now it has imported what there is to import
    process = start(settings, place, "build", "--no-write-json")
    assert process.stdout is not None
    while "Concurrency:" not in process.stdout.readline():
        assert process.poll() is None
    [fork] = forks(standby)
    return process, fork


def listed(settings: Settings, place: str, **more: str) -> tuple[int, str]:
    process = start(settings, place, "--quiet", "ls", "--resource-type", "seed", "--output", "name", **more)
    said, _ = process.communicate(timeout=120)
    return process.returncode, said


def test_each_start_is_a_dbt_of_its_own(settings: Settings, standby: Standby) -> None:
    """The second is told another environment, and knows nothing of the first's."""
    seeds = (settings.dbt_project / "seeds").rglob("*.csv")
    code, said = listed(settings, standby.place())
    assert code == 0
    assert sorted(said.split()) == sorted(path.stem for path in seeds)
    assert listed(settings, standby.place(), DBT_QUIET="true") == (0, said)


def test_exit_codes_and_messages_are_those_of_dbt(settings: Settings, standby: Standby) -> None:
    process = start(settings, standby.place(), "no-such-command")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "No such command 'no-such-command'" in said


def test_a_project_that_is_not_parsed_is_said_by_the_start_that_asked(settings: Settings, standby: Standby) -> None:
    missing = str(settings.home / "missing.msgpack")
    code, said = listed(settings, standby.place(), WATERSHED_PARSED=missing)
    assert code == 1
    assert f"No such file or directory: '{missing}'" in said
    assert listed(settings, standby.place())[0] == 0


@pytest.mark.parametrize("place", ["", "/nowhere/socket"], ids=["none", "gone"])
def test_without_a_standby_dbt_starts_by_itself(settings: Settings, standby: Standby, place: str) -> None:
    assert listed(settings, place) == listed(settings, standby.place())


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes as Linux shows them")


@needs_proc
def test_a_start_that_is_killed_takes_its_dbt_along(settings: Settings, standby: Standby) -> None:
    process, _ = at_work(settings, standby)
    process.kill()
    process.communicate(timeout=60)
    while forks(standby):
        time.sleep(0.01)
    assert listed(settings, standby.place())[0] == 0


def test_who_is_killed_while_it_asks_disturbs_nobody(settings: Settings, standby: Standby) -> None:
    place = standby.place()
    for request in (b"", (100).to_bytes(NUMBER, "big"), (100).to_bytes(NUMBER, "big") + b"[["):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(place)
            connection.sendall(request)
    assert listed(settings, place)[0] == 0


@needs_proc
def test_the_death_of_a_dbt_is_that_of_its_start(settings: Settings, standby: Standby) -> None:
    process, fork = at_work(settings, standby)
    os.kill(fork, signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


@needs_proc
def test_an_interrupt_reaches_dbt(settings: Settings, standby: Standby) -> None:
    process, _ = at_work(settings, standby)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    # Which of both depends on where it was.
    assert process.returncode in {1, 2}
    assert "keyboardinterrupt" in said.replace(" ", "").lower()


def test_the_standby_goes_with_who_had_it(settings: Settings) -> None:
    with Standby() as standby:
        place = standby.place()
        assert listed(settings, place)[0] == 0
        process = standby._process
    assert process is not None and process.returncode == 0
    assert not Path(place).parent.exists()


@needs_proc
def test_a_standby_that_is_killed_is_named_and_leaves_no_dbt_behind(settings: Settings) -> None:
    with Standby() as standby:
        process, fork = at_work(settings, standby)
        assert standby._process is not None
        standby._process.kill()
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "dbt's standby process was killed" in said
    while command_of(fork):
        time.sleep(0.01)
