"""Identity runs that are killed at any moment: the ids of every customer end as if nothing had happened."""

from __future__ import annotations

import time
from pathlib import Path

import duckdb
import pytest

from tests.killing import Moments, start
from transforms.identity import resolve_identities

from .town import AS_OF, REGIONS, Row, Town, seen

KILLS = 15
TABLES = ("assignments", "identifiers", "customers", "aliases", "history")


def crowd(day: int) -> list[Row]:
    """Who has been seen by a day: every day brings people, and evidence that joins some of those before."""
    people = [seen(loyalty_id=f"L{n}", email=f"p{n}@example.com") for n in range(40 + 10 * day)]
    return people + [seen(app_user_id=f"u{n}", email=f"p{n}@example.com") for n in range(5 * day)] + [
        seen(app_user_id=f"u{n}", email=f"p{n + 20}@example.com") for n in range(3 * day)
    ]  # fmt: skip


def outcome(town: Town) -> dict[str, list[str]]:
    """Every table but for the names of the runs that wrote it."""
    but_runs = "SELECT COLUMNS(lambda c: c NOT IN ('run_id', 'created_run')) FROM"
    with duckdb.connect(config={"threads": 1}) as connection:
        return {
            name: sorted(map(str, connection.execute(f"{but_runs} {town.store.table(name)}").fetchall()))
            for name in TABLES
        }


@pytest.mark.slow
def test_kills_at_random_moments_leave_the_ids_of_an_undisturbed_history(tmp_path: Path) -> None:
    undisturbed, killed = Town(tmp_path / "undisturbed"), Town(tmp_path / "killed")
    undisturbed.resolve(crowd(0))
    started = time.monotonic()
    killed.resolve(crowd(0))
    moments = Moments(17, time.monotonic() - started)
    kills = attempt = day = 0
    after = now = outcome(undisturbed)
    while kills < KILLS:
        attempt += 1
        if now == after:
            day += 1
            before = after
            undisturbed.resolve(crowd(day))
            killed.observe(crowd(day))
            after = outcome(undisturbed)
            assert before != after
        process = start(resolve_identities, killed.settings, REGIONS, AS_OF, f"try-{attempt}")
        kills += moments.kill(process)
        now = outcome(killed)
        assert now in (before, after), f"a mixture after kill {kills}"
    killed.resolve(crowd(day))
    assert outcome(killed) == after
    assert {path.name for path in killed.store.folder.iterdir()} == {"runs", "current"}
    assert day > 1, "runs came to their ends in between"
