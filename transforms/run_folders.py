"""Outcomes of runs in the lake, each in a folder of its own: ``<folder>/runs/<run>``; ``current`` names the one that
holds.

A run writes its folder and becomes visible by one rename of a symbolic link, so that a reader sees the old outcome or
the new one, and a crash at any moment leaves the old. Links are relative: a home may be moved.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from transforms.durability import sync
from transforms.sql import identifier, literal

KEPT_RUNS = 2
_DRAFT = ".draft-"
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class RunFolders:
    """The outcomes of one kind of run.

    :param folder: where they lie.
    :param state_file: what a run writes of itself, as the last of its files.
    """

    def __init__(self, folder: Path, state_file: str = "state.json") -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self.current = folder / "current"
        self._state_file = state_file

    def exists(self) -> bool:
        """Whether some run's outcome is current."""
        return (self.current / self._state_file).exists()

    def state_of(self, run: Path) -> dict[str, Any]:
        """What a run wrote about itself."""
        return json.loads((run / self._state_file).read_text(encoding="utf-8"))

    @contextmanager
    def new_run(self, run_id: str, state: Mapping[str, Any]) -> Iterator[Path]:
        """Give a folder to write a run into; on leaving without an error it becomes current.

        ``state`` is written at the end, so that a run may add to it while it works.

        :raises ValueError: if ``run_id`` cannot name a folder, or ``state`` holds a number that is none.
        """
        if not _RUN_ID.fullmatch(run_id):
            raise ValueError(f"{run_id!r} cannot name a folder: use letters, digits, dot, dash and underscore")
        self.runs.mkdir(parents=True, exist_ok=True)
        self.clean()
        draft = self.runs / f"{_DRAFT}{run_id}"
        draft.mkdir()
        try:
            yield draft
            text = json.dumps(state, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
            (draft / self._state_file).write_text(text + "\n", encoding="utf-8")
            # What it shares with a former run by another name is on the disk already.
            sync(*(file for file in draft.iterdir() if file.stat().st_nlink == 1), draft)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        self._point_at(self._keep(draft, run_id))
        self.clean()

    def _keep(self, draft: Path, run_id: str) -> Path:
        """Give the finished folder its name; a second outcome of one run id gets a number, the first may be read."""
        target, attempt = self.runs / run_id, 1
        while target.exists():
            attempt += 1
            target = self.runs / f"{run_id}~{attempt}"
        draft.rename(target)
        sync(self.runs)
        return target

    def _point_at(self, run: Path) -> None:
        self._link(self.current, run)

    def _link(self, name: Path, run: Path) -> None:
        link = self.folder / f"{_DRAFT}{name.name}"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("runs") / run.name)
        link.replace(name)
        sync(self.folder)

    def clean(self, needed: Collection[Path] = ()) -> None:
        """Remove what crashed runs left, and all but the last runs; the current one and those ``needed`` stay."""
        for link in self.folder.glob(f"{_DRAFT}*"):
            link.unlink()
        if not self.runs.is_dir():
            return
        finished = {run: self._written(run) for run in self.runs.iterdir() if not run.name.startswith(_DRAFT)}
        finished = {run: at for run, at in finished.items() if at}
        current = finished.get(self.current.resolve(), 0)
        # A folder that is younger than the current one never became current: its run died before.
        former = sorted((run for run, at in finished.items() if at <= current), key=lambda run: finished[run])
        kept = {*former[-KEPT_RUNS:], self.current.resolve(), *needed}
        for folder in self.runs.iterdir():
            if folder not in kept:
                shutil.rmtree(folder)

    def _written(self, run: Path) -> int:
        """When a run was finished, in nanoseconds; 0 if it was not."""
        state = run / self._state_file
        return state.stat().st_mtime_ns if state.exists() else 0


def write_rows(
    connection: duckdb.DuckDBPyConnection, query: str, schema: Mapping[str, str], file: Path, level: int = 3
) -> None:
    """Write a query's rows as Parquet, with exactly these columns and DuckDB types.

    :param level: of compression; 1 for what is soon written anew.
    """
    casts = ", ".join(f"CAST({identifier(name)} AS {kind}) AS {identifier(name)}" for name, kind in schema.items())
    options = f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {level}"
    connection.execute(f"COPY (SELECT {casts} FROM ({query})) TO {literal(file)} ({options})")


def no_rows(schema: Mapping[str, str]) -> str:
    """A query that has these columns and no rows."""
    return f"SELECT {', '.join(f'CAST(NULL AS {kind}) AS {identifier(name)}' for name, kind in schema.items())} LIMIT 0"
