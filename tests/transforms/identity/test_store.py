"""The folder of outcomes: readers see the old one or the new one, whatever happens."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest

from transforms.identity import ensure_empty_state, resolve_identities
from transforms.identity.store import SCHEMAS

from .town import AS_OF, REGIONS, Town, seen

ROWS = [seen(loyalty_id="L1", email="a@example.com"), seen(loyalty_id="L2", email="b@example.com")]
MORE = [*ROWS, seen(loyalty_id="L3", email="c@example.com")]


def folders(town: Town) -> list[str]:
    return sorted(path.name for path in town.store.runs.iterdir())


def test_the_last_two_runs_are_kept(town: Town) -> None:
    for _ in range(4):
        town.resolve(ROWS)
    assert folders(town) == ["run-3", "run-4"]
    assert town.store.current.is_symlink()
    assert town.store.current.readlink() == Path("runs/run-4")  # relative: the home may be moved


def test_columns_and_types_are_those_promised(town: Town) -> None:
    for fill in (lambda: ensure_empty_state(town.settings), lambda: town.resolve(ROWS)):
        fill()
        for table, schema in SCHEMAS.items():
            with duckdb.connect(":memory:") as connection:
                described = connection.execute(f"DESCRIBE FROM {town.store.table(table)}").fetchall()
            assert {name: kind for name, kind, *_ in described} == schema


def test_an_empty_state_is_made_once_and_never_over_another(town: Town) -> None:
    ensure_empty_state(town.settings)
    assert town.table("assignments").height == 0
    town.resolve(ROWS)
    ensure_empty_state(town.settings)
    assert town.table("assignments").height == 2


def test_the_first_run_after_an_empty_state_is_like_a_first_run(town: Town, tmp_path: Path) -> None:
    other = Town(tmp_path / "other")
    ensure_empty_state(town.settings)
    assert town.resolve(ROWS).assignments == other.resolve(ROWS).assignments


def test_no_observations_are_an_outcome_too(town: Town) -> None:
    town.resolve(ROWS)
    outcome = town.resolve([])
    assert outcome.report.customers == outcome.report.observations == 0
    assert outcome.assignments == {}


def test_one_run_id_twice_keeps_what_readers_may_hold_open(town: Town) -> None:
    town.observe(ROWS)
    resolve_identities(town.settings, REGIONS, AS_OF, "same")
    held_open = town.store.current.resolve() / "assignments.parquet"
    town.observe(MORE)
    resolve_identities(town.settings, REGIONS, AS_OF, "same")
    assert pl.read_parquet(held_open).height == 2
    assert town.table("assignments").height == 3
    assert folders(town) == ["same", "same~2"]


@pytest.mark.parametrize("run_id", ["", "../outside", "a/b", ".hidden", "a b"])
def test_a_run_id_that_is_no_folder_is_refused(town: Town, run_id: str) -> None:
    town.observe(ROWS)
    with pytest.raises(ValueError, match="cannot name a folder"):
        resolve_identities(town.settings, REGIONS, AS_OF, run_id)
    assert not town.store.exists()


def test_an_error_leaves_the_old_outcome_and_nothing_else(town: Town) -> None:
    before = town.resolve(ROWS)
    with pytest.raises(ZeroDivisionError), town.store.new_run("broken", {}) as folder:
        (folder / "assignments.parquet").write_bytes(b"half")
        raise ZeroDivisionError
    assert folders(town) == ["run-1"]
    assert town.read(before.report).assignments == before.assignments


KILLED = """
import os, signal, sys
from datetime import date
from pathlib import Path
from transforms.identity import parts, resolve_identities, resolve, store
from transforms.settings import Settings

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

moment = sys.argv[1]
if moment == "while writing":
    write = parts.write_table
    parts.write_table = lambda c, q, f, table, part: die() if table == "customers" else write(c, q, f, table, part)
elif moment == "before the folder has its name":
    store.IdentityStore._keep = die
elif moment == "between write and swap":
    store.IdentityStore._point_at = die
elif moment == "before the link is renamed":
    Path.replace = die
elif moment == "after the swap":
    clean = store.IdentityStore.clean
    store.IdentityStore.clean = lambda self: die() if self.current.readlink().name == "killed" else clean(self)
resolve_identities(Settings(home=sys.argv[2], identifier_key="a secret of the tests"), {}, date(2025, 6, 30), "killed")
"""


@pytest.mark.parametrize(
    ("moment", "seen_after"),
    [
        ("while writing", 2),
        ("before the folder has its name", 2),
        ("between write and swap", 2),
        ("before the link is renamed", 2),
        ("after the swap", 3),
    ],
)
def test_a_run_that_is_killed_leaves_the_old_outcome_or_the_new(town: Town, moment: str, seen_after: int) -> None:
    before = town.resolve(ROWS)
    town.observe(MORE)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, moment, str(town.settings.home)], check=False, capture_output=True, text=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert town.table("assignments").height == town.table("customers").height == seen_after
    after = town.resolve(MORE)
    assert after.assignments.items() >= before.assignments.items()
    assert after.report.customers == 3
    assert folders(town)[-1] == "run-2"
    assert set(folders(town)) <= {"run-1", "run-2", "killed"}
    assert ("killed" in folders(town)) == (moment == "after the swap")
    assert [path.name for path in town.store.folder.iterdir() if path.name not in ("runs", "current")] == []


def test_readers_never_see_a_mixture(town: Town) -> None:
    """A reader that opens both files of one outcome again and again while runs come and go."""
    crowd = [seen(loyalty_id=f"L{i}", email=f"p{i}@example.com") for i in range(50)]
    town.resolve(crowd)
    stop = threading.Event()
    wrong: list[str] = []

    def read() -> None:
        while not stop.is_set():
            run = town.store.current.resolve()
            assigned = set(pl.read_parquet(run / "assignments.parquet")["customer_id"])
            if assigned != set(pl.read_parquet(run / "customers.parquet")["customer_id"]):
                wrong.append(run.name)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for last in range(40, 50):
            town.resolve(crowd[:last])
    finally:
        stop.set()
        reader.join()
    assert wrong == []


def test_the_warehouse_is_free_again_and_was_not_written(town: Town) -> None:
    town.observe(ROWS)
    content = town.settings.warehouse.read_bytes()
    resolve_identities(town.settings, REGIONS, AS_OF, "one")
    assert town.settings.warehouse.read_bytes() == content
    with duckdb.connect(str(town.settings.warehouse)) as connection:
        connection.execute("CREATE TABLE written_next (i INTEGER)")


def test_a_missing_warehouse_and_a_missing_table_are_named(town: Town) -> None:
    with pytest.raises(FileNotFoundError, match="there is no warehouse yet"):
        resolve_identities(town.settings, REGIONS, AS_OF, "one")
    town.settings.home.mkdir(exist_ok=True)
    duckdb.connect(str(town.settings.warehouse)).close()
    with pytest.raises(duckdb.CatalogException, match="int_identity_observations"):
        resolve_identities(town.settings, REGIONS, AS_OF, "two")


def test_an_unknown_telephone_region_is_named(town: Town) -> None:
    town.observe(ROWS)
    with pytest.raises(ValueError, match="'UK' is no region"):
        resolve_identities(town.settings, {"shop": "UK"}, AS_OF, "one")


def test_the_secret_lies_in_no_file_of_an_outcome(town: Town) -> None:
    town.resolve(ROWS)
    for file in town.store.current.iterdir():
        assert b"a secret of the tests" not in file.read_bytes()


def test_a_look_back_at_an_earlier_day_leaves_no_trace_in_the_ids(town: Town) -> None:
    """What was one customer then are two today: going back and returning must not let them change places."""
    today, then = date(2025, 6, 30), date(2025, 3, 1)
    apart = [
        *(seen(loyalty_id="L-A", email=f"a{n}@example.com") for n in range(2)),
        *(seen(loyalty_id="L-B", email=f"b{n}@example.com") for n in range(4)),
    ]
    together = [seen(app_user_id="u1", email=email) for email in ("a0@example.com", "b0@example.com", "b1@example.com")]
    first = town.resolve(apart, as_of=today)
    assert town.store.remembered == town.store.current
    past = town.resolve(together, as_of=then)
    assert past.report.customers == 1 and town.store.remembered == town.store.memory
    again = town.resolve(together, as_of=then)
    assert (again.assignments, again.report.new) == (past.assignments, past.report.new)
    assert folders(town) == ["run-1", "run-2", "run-3"]
    back = town.resolve(apart, as_of=today)
    assert back.assignments == first.assignments and back.aliases == first.aliases
    assert not town.store.memory.exists()
