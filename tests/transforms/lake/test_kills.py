"""Loads that are killed at any moment: completed later, the lake is what it would have been without the kills.

Readers look in between, at what a killed load has left and over the shoulder of a running one: they see whole states.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import pytest

from tests.killing import SEED, STRIDE, start
from tests.reading import reader
from tests.transforms.lake.shop import NOW, Shop, contract_document, csv_file, line
from transforms.contracts import SourceContract
from transforms.lake import gated, landing
from transforms.lake.generations import shown
from transforms.lake.landing import received_files
from transforms.lake.load import load_source
from transforms.lake.releases import write_release
from transforms.settings import Settings

# In all, and how many of them each run of the tests makes: the others are those of ``make test-long``.
KILLS = {"upsert": 150, "snapshot": 60}
KILLS_EACH_TIME = {"upsert": 60, "snapshot": 25}
TABLES = {
    "accepted": "SELECT * EXCLUDE (_loaded_at) FROM accepted",
    "current": "SELECT * EXCLUDE (_loaded_at) FROM current",
    "superseded": "SELECT * EXCLUDE (_from_at, _until_at) FROM superseded",
    "quarantine": "SELECT * EXCLUDE (_loaded_at) FROM quarantine",
    "records": "SELECT * EXCLUDE (loaded_at) FROM records",
}

# What changes something in the file system.
_STEPS = {"os.rename", "os.link", "os.symlink", "os.mkdir", "os.remove", "os.rmdir", "os.chmod"}


def _load(settings: Settings, contract: SourceContract, last_step: int | None, on_disk: bool) -> None:
    """Load the shop, and be killed before step ``last_step`` in the file system, if it comes that far.

    ``on_disk`` keeps the rows of each file in a passing file until they are committed.
    """
    steps = itertools.count()

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (event in _STEPS or writes) and next(steps) == last_step:
            os.kill(os.getpid(), signal.SIGKILL)

    # A small file that comes alone is read ahead here, as large ones are.
    landing._WORTH_READING_AHEAD = 1
    gated._MEMORY_SHARE = 0.0 if on_disk else gated._MEMORY_SHARE
    if last_step is not None:
        sys.addaudithook(count)
    load_source(settings, contract)


def _start(shop: Shop, last_step: int | None = None, on_disk: bool = False) -> BaseProcess:
    return start(_load, shop.settings, shop.contract, last_step, on_disk)


def _digest(rows: Sequence[tuple[Any, ...]]) -> str:
    return hashlib.sha256("\n".join(sorted(str(row[0]) for row in rows)).encode()).hexdigest()


def tables(shop: Shop) -> dict[str, str]:
    """Digest of each table's rows as text, in order."""
    # All at once: each question looks through the whole lake for its files.
    rows = shop.query(
        " UNION ALL ".join(f"SELECT '{name}', CAST(t AS VARCHAR) FROM ({query}) AS t" for name, query in TABLES.items())
    )
    return {name: _digest([(text,) for table, text in rows if table == name]) for name in TABLES}


def rows_in(batches: Sequence[Path]) -> str:
    """Digest of the rows that are current by these batches, and by no others."""
    # What has no rows may have no file.
    accepted, superseded = (
        [str(path) for batch in batches if (path := batch / f"{name}.parquet").exists()]
        for name in ("accepted", "superseded")
    )
    if not accepted:
        return _digest([])
    with reader() as connection:
        connection.execute("CREATE TEMP TABLE gone (_batch_id VARCHAR, _row BIGINT)")
        if superseded:
            connection.execute(
                "INSERT INTO gone SELECT _batch_id, _row FROM read_parquet($files) WHERE _kind <> 'awaited'",
                {"files": superseded},
            )
        return _digest(
            connection.execute(
                "SELECT CAST(t AS VARCHAR) FROM (SELECT * EXCLUDE (_loaded_at) FROM read_parquet($files) AS a"
                " ANTI JOIN gone USING (_batch_id, _row)) AS t",
                {"files": accepted},
            ).fetchall()
        )


def left_behind(shop: Shop) -> str:
    """What a reader's glob finds when no load runs."""
    with reader() as connection:
        files = connection.execute(f"FROM glob('{shop.settings.lake}/transactions/*/*/record.parquet')").fetchall()
    return rows_in([folder for (path,) in files if (folder := Path(path).parent).parent.name != "_none"])


def under_way(shop: Shop) -> str:
    """What a reader finds while a load runs, if it goes to the generation itself."""
    folder = shown(shop.settings, shop.contract)
    return rows_in(sorted(folder.iterdir()) if folder else [])


def _batches(shop: Shop) -> list[Path]:
    return list(shop.settings.lake.glob("_generations/transactions/shop/*/*"))


@dataclass(frozen=True)
class Stage:
    """Something that happens to a source; ``is_one_step`` where readers see the state before it or the one after."""

    name: str
    act: Callable[[Shop], None]
    is_one_step: bool = False


def _sale(order: int, day: int, **fields: str) -> str:
    return line(str(order), time=f"2025-03-{day:02}T10:00:00", amount=f"{day}.50", **fields)


def _files(chance: random.Random, number: int) -> Callable[[Shop], None]:
    """Overlapping versions of some orders, bad rows, a file to be held, a half-written one, replays, an overwriting."""
    contents: list[tuple[str, str]] = []
    for name in "abc":
        rows = [_sale(chance.randrange(60), chance.randint(1, 28)) for _ in range(25)]
        rows += [_sale(chance.randrange(60), 1, kind="gift"), _sale(chance.randrange(60), 1, qty="two"), "torn"]
        contents.append((f"{number}-{name}.csv", csv_file(*rows)))
    bad = [_sale(1_000 + n, number + 1, kind="gift") for n in range(30)]
    contents.append((f"{number}-held.csv", csv_file(*bad, *(_sale(2_000 + n, number + 1) for n in range(10)))))
    contents.append((f"{number}-refused.csv", csv_file(_sale(1, 1))[:-1]))
    contents += [(f"{number}-replay-{again}.csv", contents[0][1]) for again in range(2)]
    contents.append(("overwritten.csv", csv_file(*(_sale(n, number + 1) for n in range(8)))))

    def act(shop: Shop) -> None:
        for name, content in contents:
            shop.deliver(content, name)

    return act


def _snapshots(chance: random.Random, number: int) -> Callable[[Shop], None]:
    """The whole table some times over: records go, change and return."""
    bad = [_sale(5_000 + n, 1, kind="gift") for n in range(4)]
    contents = [
        csv_file(*(_sale(n, chance.randint(1, 3)) for n in range(90) if chance.random() < 0.9), *bad) for _ in "ab"
    ]

    def act(shop: Shop) -> None:
        for name, content in zip(("a", "b", "c", "d"), (*contents, contents[0], csv_file(_sale(1, 1))), strict=True):
            shop.deliver(content, f"{number}-{name}.csv")
        shop.deliver(contents[number % 2], "overwritten.csv")

    return act


def _contract(mode: str, number: int) -> Callable[[Shop], None]:
    """A contract that tells the currency otherwise each time."""

    def act(shop: Shop) -> None:
        shop.sign(document(mode, number))

    return act


def document(mode: str, number: int = 0) -> dict[str, Any]:
    """The shop's contract in its edition ``number``."""
    written = contract_document()
    custom = written["schema"][0]["customProperties"]
    custom.append({"property": "loadMode", "value": mode})
    if mode == "upsert":
        custom.append({"property": "latestBy", "value": "ordered_at"})
    written["schema"][0]["properties"][-1]["transformLogic"] = f"'EU{ascii_uppercase[number]}'"
    return written


def _release(number: int) -> Callable[[Shop], None]:
    """Two rows of one file and the held one are let through."""

    def act(shop: Shop) -> None:
        for name, rows in ((f"{number}-b.csv", [27]), (f"{number}-held.csv", [])):
            (file,) = (item for item in received_files(shop.settings, "shop") if item.name == name)
            rules = ["enum:line_type"] if rows else []
            write_release(shop.settings, "shop", file, rows, "looked at it", "kim", file.received_at, rules)

    return act


def stages(mode: str, chance: random.Random) -> Iterator[Stage]:
    """What happens to the source, without end."""
    for number in itertools.count():
        news = _files if mode == "upsert" else _snapshots
        yield Stage(f"{number}: files", news(chance, number))
        yield Stage(f"{number}: contract", _contract(mode, number + 1), is_one_step=True)
        if mode == "upsert":
            yield Stage(f"{number}: release", _release(number), is_one_step=True)


def two_shops(folder: Path, mode: str) -> tuple[Shop, Shop]:
    """One that is left in peace, one that is not."""
    for name in ("undisturbed", "killed"):
        (folder / name).mkdir()
    return Shop(folder / "undisturbed", document(mode)), Shop(folder / "killed", document(mode))


def allowed_states(undisturbed: Shop, stage: Stage, before: str) -> set[str]:
    """Load in peace; the states that a reader may see on the way."""
    present = shown(undisturbed.settings, undisturbed.contract)
    former = {path.name for path in present.iterdir()} if present and not stage.is_one_step else set()
    report = undisturbed.load()
    assert report.balances
    folder = shown(undisturbed.settings, undisturbed.contract)
    assert folder
    batches = [folder / record.batch_id for record in report.records]
    states = {before, rows_in(batches)}
    if not stage.is_one_step:
        states |= {rows_in(batches[:count]) for count in range(len(former), len(batches))}
    return states


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "least"),
    [
        *(pytest.param(mode, kills, id=mode) for mode, kills in KILLS_EACH_TIME.items()),
        *(
            pytest.param(mode, kills - KILLS_EACH_TIME[mode], id=f"{mode}, the others", marks=pytest.mark.long)
            for mode, kills in KILLS.items()
        ),
    ],
)
def test_loads_killed_at_random_moments(tmp_path: Path, mode: str, least: int) -> None:
    print(f"WATERSHED_TEST_SEED={SEED}")  # noqa: T201
    chance = random.Random(SEED)
    undisturbed, killed = two_shops(tmp_path, mode)
    kills = live_looks = loaded = 0
    reach = 0.2
    before = rows_in([])
    for passed, stage in enumerate(stages(mode, chance), start=1):
        stage.act(undisturbed)
        stage.act(killed)
        states = allowed_states(undisturbed, stage, before)
        while True:
            child = _start(killed)
            child.join(chance.uniform(0, reach))
            if child.is_alive() and chance.random() < 0.7:
                live_looks += 1
                assert under_way(killed) in states, f"seed {SEED}, {stage.name}: seen while a load ran"
            child.kill()
            child.join()
            kills += child.exitcode == -signal.SIGKILL
            # Far enough for a file or two, on any machine.
            loaded, former = len(_batches(killed)), loaded
            reach *= 0.9 if loaded - former > 2 else 1.05 if loaded == former else 1
            seen = left_behind(killed)
            assert seen in states, f"seed {SEED}, {stage.name}: seen after kill {kills}"
            if child.exitcode == 0:
                break
            assert child.exitcode == -signal.SIGKILL, f"seed {SEED}, {stage.name}: the load failed"
        assert tables(killed) == tables(undisturbed), f"seed {SEED}, {stage.name}"
        before = left_behind(undisturbed)
        # Each kind of stage has come, and files so often that every table holds some.
        if kills >= least and passed > 4:
            break
    assert live_looks >= 10
    holding = [query for query in TABLES.values() if killed.query(f"SELECT count(*) FROM ({query})") > [(10,)]]
    assert len(holding) == len(TABLES), "empty tables are easily equal"
    killed.load()
    leftovers = [path.name for path in killed.settings.scratch.iterdir()]
    assert leftovers == [], f"seed {SEED}: a load in peace removes what killed ones have left"
    assert not list(killed.settings.landing.glob("*/.*"))
    assert {path.parent for path in _batches(killed)} == {shown(killed.settings, killed.contract)}


def _prepare(shop: Shop, scenario: str) -> Stage:
    """Bring a shop to the moment before a stage."""
    chance = random.Random(3)
    upserts = {"first files": 0, "contract": 1, "release": 2}
    happening = list(itertools.islice(stages("upsert", chance), 3))
    if scenario.startswith("a file alone"):
        return Stage(scenario, _deliver_one)
    for stage in happening[: upserts[scenario]]:
        # Three files are enough; each step of each counts.
        stage.act(shop)
        _keep_some(shop)
        shop.load()
    return happening[upserts[scenario]]


def _deliver_one(shop: Shop) -> None:
    rows = [_sale(order, 1 + order % 28) for order in range(40)]
    shop.deliver(csv_file(*rows, rows[0], _sale(1, 3, kind="gift"), "torn"), "0-a.csv")


def _keep_some(shop: Shop) -> None:
    for path in (shop.settings.incoming / "shop").iterdir():
        if path.name not in {"0-a.csv", "0-b.csv", "0-held.csv"}:
            path.unlink()


SITUATIONS = ("first files", "a file alone", "a file alone, on disk", "contract", "release")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "stride"),
    [
        *(pytest.param(scenario, STRIDE, id=scenario) for scenario in SITUATIONS),
        *(pytest.param(scenario, 1, id=f"{scenario}, each", marks=pytest.mark.long) for scenario in SITUATIONS),
    ],
)
def test_loads_killed_before_each_step_in_the_file_system(tmp_path: Path, scenario: str, stride: int) -> None:
    """The dangerous moments are short, and a random one seldom hits them: here each of them is hit."""
    print(f"WATERSHED_TEST_SEED={SEED}")  # noqa: T201
    (tmp_path / "start").mkdir()
    start = Shop(tmp_path / "start", document("upsert"))
    stage = _prepare(start, scenario)
    before = left_behind(start)
    stage.act(start)
    _keep_some(start)
    shutil.copytree(tmp_path / "start", tmp_path / "undisturbed", symlinks=True)
    undisturbed = _opened(start, tmp_path / "undisturbed")
    states = allowed_states(undisturbed, stage, before)
    assert len(states) > 1, "the stage changes what is seen"
    expected = tables(undisturbed)
    step = 0
    for step in itertools.count(SEED % stride, stride):
        folder = tmp_path / str(step)
        shutil.copytree(tmp_path / "start", folder, symlinks=True)
        killed = _opened(start, folder)
        child = _start(killed, step, on_disk=scenario.endswith("on disk"))
        child.join()
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        assert left_behind(killed) in states, f"{scenario}: seen after a kill before step {step}"
        killed.load()
        assert tables(killed) == expected, f"{scenario}: killed before step {step}"
        assert not list(killed.settings.scratch.iterdir()), f"{scenario}: left behind before step {step}"
        assert not list(killed.settings.landing.glob("*/.*"))
        landed = {file.path for file in received_files(killed.settings, "shop")}
        assert landed == {path for path in killed.settings.landing.glob("shop/*") if path.suffix == ".csv"}
        shutil.rmtree(folder)
    assert step >= 20, "the hook sees the steps"


def _opened(shop: Shop, folder: Path) -> Shop:
    """A copy of a shop, as it is."""
    copy = object.__new__(Shop)
    copy.settings = shop.settings.model_copy(update={"home": folder / "home", "contracts": folder / "contracts"})
    copy.now = NOW
    return copy
