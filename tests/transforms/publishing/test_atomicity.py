"""Readers see the old file or the new one, whatever happens to publisher, readers and foreign writers."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import duckdb
import pytest

from tests import killing
from tests.killing import Moments
from transforms.locking import LockedError, exclusive
from transforms.publishing import publish, verify_published

from .toy import PUBLISHER, READER_LOOP, build_of, generation_read, plan_of, settings_of, start, write_warehouse

FOREIGN_WRITER = """
import duckdb, sys
c = duckdb.connect(sys.argv[1])
print('open', flush=True)
input()
c.execute("insert into marts.channel_summary values ('forged', 1, 99)")
print('written', flush=True)
input()
"""


def _publish(home: Path, run_id: str, **changes: object) -> Path:
    return publish(settings_of(home, **changes), plan_of(home), build_of(home, run_id), "0.1.0").path


def _lock(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def test_an_open_reader_keeps_the_old_file_and_a_new_process_sees_the_new(home: Path) -> None:
    path = _publish(home, "run-1")
    query = "SELECT DISTINCT generation FROM marts.customer_timeline"
    with duckdb.connect(path, read_only=True) as reader:
        assert reader.execute(query).fetchall() == [(1,)]
        write_warehouse(home, generation=2, people=400)
        _publish(home, "run-2")

        assert reader.execute(query).fetchall() == [(1,)]
        assert reader.execute("SELECT count(*) FROM marts.customer_360").fetchone() == (300,)
        assert generation_read(path) == 2
        # This process too, though it still holds the old file open.
        assert verify_published(path).run_id == "run-2"


@pytest.mark.parametrize("step", range(1, 6))
def test_killed_at_each_step(home: Path, step: int) -> None:
    path = _publish(home, "run-1")
    write_warehouse(home, generation=2)

    publisher = start(PUBLISHER, home, "run-2", step)
    publisher.communicate(timeout=60)

    assert publisher.returncode == -9
    # The fifth message follows the replacement.
    assert generation_read(path) == (2 if step == 5 else 1)
    write_warehouse(home, generation=3)
    _publish(home, "run-3")
    assert generation_read(path) == 3
    assert sorted(file.name for file in path.parent.iterdir()) == [".customer360.duckdb.lock", path.name]


KILLS = 30


@pytest.mark.slow
def test_killed_at_random_moments_leaves_a_whole_file(home: Path) -> None:
    people = 20_000
    write_warehouse(home, generation=0, people=people)
    path = _publish(home, "run-0")
    started = time.monotonic()
    _publish(home, "run-0")
    moments = Moments(7, 1.3 * (time.monotonic() - started))
    generation = attempt = unfinished = 0

    # A machine that is busy at one moment and idle at another decides how many kills come too late to matter.
    while unfinished < KILLS and attempt < 8 * KILLS:
        attempt += 1
        write_warehouse(home, generation=attempt, people=people)
        moments.kill(killing.start(_publish, home, f"run-{attempt}"))
        found = generation_read(path)
        assert found in {generation, attempt}
        unfinished += found == generation
        generation = found

    assert unfinished == KILLS
    write_warehouse(home, generation=attempt + 1)
    _publish(home, "last")
    assert generation_read(path) == attempt + 1
    assert sorted(file.name for file in path.parent.iterdir()) == [".customer360.duckdb.lock", path.name]


def test_readers_meet_no_error_and_no_mixture_during_publications(home: Path) -> None:
    path = _publish(home, "run-1")
    stop = home / "stop"
    reader = start(READER_LOOP, path, stop)
    assert reader.stdout and reader.stdout.readline() == "ready\n"

    for generation in range(2, 22):
        write_warehouse(home, generation=generation)
        _publish(home, f"run-{generation}")
    stop.touch()
    result = json.loads(reader.communicate(timeout=60)[0])

    assert result["errors"] == []
    assert all(len(found) == 1 for found in result["seen"])
    generations = [found[0] for found in result["seen"]]
    assert generations == sorted(generations)
    assert len(set(generations)) >= 5
    assert generations[-1] == 21


def test_a_foreign_log_is_moved_aside(home: Path) -> None:
    """A client opened the old file for writing, and wrote and died after the new one was in place."""
    path = _publish(home, "run-1")
    path.chmod(0o644)
    writer = start(FOREIGN_WRITER, path)
    assert writer.stdin and writer.stdout and writer.stdout.readline() == "open\n"
    write_warehouse(home, generation=2)
    _publish(home, "run-2")
    writer.stdin.write("\n")
    writer.stdin.flush()
    assert writer.stdout.readline() == "written\n"
    writer.kill()
    writer.communicate()
    log = path.with_name(path.name + ".wal")
    content = log.read_bytes()
    assert content

    write_warehouse(home, generation=3)
    report = publish(settings_of(home), plan_of(home), build_of(home, "run-3"), "0.1.0")

    assert not log.exists()
    (aside,) = path.parent.glob("*.foreign-*")
    assert aside.read_bytes() == content
    assert str(aside) in report.warnings[0]
    assert generation_read(path) == 3
    assert verify_published(path).tables["channel_summary"] == 2


def test_a_second_publisher_waits_and_is_told_who_publishes(home: Path) -> None:
    path = _publish(home, "run-1")
    write_warehouse(home, generation=2)
    told: list[str] = []
    waiting = threading.Event()

    def tell(message: str) -> None:
        told.append(message)
        waiting.set()

    second = threading.Thread(
        target=lambda: publish(settings_of(home), plan_of(home), build_of(home, "run-2"), "0.1.0", tell)
    )
    with exclusive(_lock(path), "run first", 0):
        second.start()
        assert waiting.wait(10)
        time.sleep(0.3)
        assert generation_read(path) == 1
        assert len(told) == 1
    second.join(30)

    assert told[0].startswith("waiting: run first (process ")
    assert generation_read(path) == 2


def test_who_waits_too_long_is_told_who_holds_the_lock(home: Path) -> None:
    path = _publish(home, "run-1")

    with (
        exclusive(_lock(path), "run first", 0),
        pytest.raises(LockedError, match=r"run first \(process \d+, since .*\) holds .*lock"),
    ):
        _publish(home, "run-2", lock_timeout_seconds=0.2)


def test_the_lock_of_a_dead_publisher_is_free(home: Path) -> None:
    publisher = start(PUBLISHER, home, "run-1", 2)
    publisher.communicate(timeout=60)
    assert publisher.returncode == -9

    assert generation_read(_publish(home, "run-2", lock_timeout_seconds=0)) == 1
