"""A file is read while the one before it is written, under one memory limit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

from transforms.lake.gate import Gate, GateResult
from transforms.lake.landing import LandedFile

# A file up to this size is read while the one before it is written: the rows of both are in memory then.
_AHEAD_BYTES = 64 << 20


@dataclass
class SideBySide:
    """Two gates that take turns; files go through in their order."""

    _turn: Gate
    _other: Gate
    _helper: Executor
    _ahead: Future[None] | None = None

    def pass_file(
        self, file: LandedFile, batch: str, loaded_at: dt.datetime, following: LandedFile | None
    ) -> GateResult:
        """See ``Gate.pass_file``; ``following`` is the file that will have to be read next, if there is one."""
        if self._ahead:
            self._ahead.result()
        is_worth = following and _both_fit(file, following)
        self._ahead = self._helper.submit(self._other.reader.read_ahead, following) if following and is_worth else None
        result = self._turn.pass_file(file, batch, loaded_at)
        self._turn, self._other = self._other, self._turn
        return result


@contextmanager
def side_by_side(gate: Gate) -> Iterator[SideBySide]:
    """The gate and another one like it."""
    with gate.reader.beside() as second, ThreadPoolExecutor(1) as helper:
        yield SideBySide(gate, replace(gate, reader=second), helper)


def _both_fit(file: LandedFile, following: LandedFile) -> bool:
    return all(each.path.stat().st_size <= _AHEAD_BYTES for each in (file, following))
