"""What a power cut takes: a kill leaves what was written to the system, a cut only what the disk was told to hold.

No kill can show a step that is missing here, so the steps themselves are watched.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.transforms.identity.town import Town, seen
from tests.transforms.lake.shop import NOW, Shop, contract_document, csv_file, line
from tests.transforms.publishing.toy import build_of, plan_of, settings_of, write_manifest, write_warehouse
from transforms.lake import landing
from transforms.lake.landing import received_files
from transforms.lake.records import NONE
from transforms.lake.releases import write_release
from transforms.publishing import publish


class Disk:
    """Watches a home: which files and folders the disk was told to hold, and what got a name when."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch):
        self._home = home
        self._steps = itertools.count(1)
        self._held: dict[int, tuple[int, int]] = {}  # step and time of the last change, for numbers of files come again
        self._named: dict[Path, int] = {}
        self.early: list[str] = []
        """What got its name, or was said in a log, before the disk held it."""
        fsync = os.fsync

        def held(descriptor: int) -> None:
            fsync(descriptor)
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            if path.name == landing.LOG:
                self._judge(f"entry of {path.name}", *(path.parent / name for name in _files_in(path)))
                if path.parent.stat().st_ino not in self._held:
                    self.early.append(f"entry of {path.name}: names in {path.parent.name}")
            status = os.fstat(descriptor)
            self._held[status.st_ino] = next(self._steps), status.st_mtime_ns

        monkeypatch.setattr(os, "fsync", held)
        for name in ("rename", "replace"):
            monkeypatch.setattr(os, name, self._watched(getattr(os, name)))

    def _watched(self, rename: Callable[..., None]) -> Callable[..., None]:
        def watched(source: Any, target: Any, **options: Any) -> None:
            target = Path(target)
            # A landed file may have its name early, for a marker stands beside it; its entry may not.
            # What each load makes anew before anybody reads it need not last.
            passing = {"landing", NONE} & {*target.parts}
            if target.is_relative_to(self._home) and not passing:
                self._judge(str(target.relative_to(self._home)), *_within(Path(source)))
                self._named[target] = next(self._steps)
            rename(source, target, **options)

        return watched

    def _judge(self, what: str, *files: Path) -> None:
        self.early += [f"{what}: {file.name}" for file in files if not self._holds(file)]

    def _holds(self, path: Path) -> bool:
        status = path.stat()
        return self._held.get(status.st_ino, (0, 0))[1] == status.st_mtime_ns

    @property
    def forgotten(self) -> list[str]:
        """What may be without its name after a power cut, though it was said to be done."""
        return [
            str(path.relative_to(self._home))
            for path, step in self._named.items()
            if os.path.lexists(path) and self._held.get(path.parent.stat().st_ino, (0, 0))[0] < step
        ]

    @property
    def names(self) -> set[str]:
        """First folder of each name that was given."""
        return {path.relative_to(self._home).parts[0] for path in self._named}


def _files_in(log: Path) -> Iterator[str]:
    for entry in log.read_text(encoding="utf-8").splitlines():
        yield Path(json.loads(entry)["path"]).name


def _within(path: Path) -> list[Path]:
    """A file, or all that a folder holds and itself; nothing of what a link leads to."""
    if path.is_symlink():
        return []
    return [path, *path.rglob("*")] if path.is_dir() else [path]


@pytest.mark.parametrize("size", ["small", "large"])
def test_what_a_load_gives_a_name_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: str) -> None:
    if size == "large":
        monkeypatch.setattr(landing, "_WORTH_READING_AHEAD", 1)
    shop = Shop(tmp_path)
    disk = Disk(shop.settings.home, monkeypatch)
    shop.deliver(csv_file(line("1"), line("2", kind="gift")))
    shop.load()
    shop.deliver(csv_file(line("3")), "b.csv")
    shop.load()
    (first, _) = received_files(shop.settings, "shop")
    write_release(shop.settings, "shop", first, [3], "looked at it", "kim", NOW)
    shop.load()
    document = contract_document()
    document["schema"][0]["properties"][-1]["transformLogic"] = "'E' || 'UR'"
    shop.sign(document)
    assert shop.load().balances
    assert (disk.early, disk.forgotten) == ([], [])
    assert "lake" in disk.names


def test_what_a_run_of_identity_leaves_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(tmp_path / "home")
    disk = Disk(town.settings.home, monkeypatch)
    for day in range(2):
        town.resolve([seen(day=day, email="a@example.com", loyalty_id=f"L{number}") for number in range(day + 1)])
    assert (disk.early, disk.forgotten) == ([], [])
    assert "lake" in disk.names


def test_what_is_published_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_warehouse(tmp_path)
    write_manifest(tmp_path)
    disk = Disk(tmp_path, monkeypatch)
    for run in ("run-1", "run-2"):
        publish(settings_of(tmp_path), plan_of(tmp_path), build_of(tmp_path, run), "0.1.0")
    assert (disk.early, disk.forgotten) == ([], [])
    assert "published" in disk.names
