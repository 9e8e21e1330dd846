"""A large file of lines that is read while its bytes still come, on their way to the disk.

What to ask of the file is told from its beginning. Whether that was right shows when the whole file is there; where it
was not, or the pass has failed, the file is read from the disk as if nothing had been.
"""

from __future__ import annotations

import mmap
import queue
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import duckdb
import numpy as np
import pyarrow as pa

from transforms.lake.inspection import BrokenFileError, TextCount

# A batch of lines; of the first one it is told what kind of lines they are.
_BLOCK = 4 << 20
# So many are on their way at a time, unless the pass holds more of them.
_BLOCKS = 8
_WAIT_SECONDS = 0.05
# Arrow's views: length, first bytes, number and offset of the buffer; a text of up to 12 bytes would be its own view.
_VIEW = np.dtype([("length", "<i4"), ("prefix", "<u4"), ("buffer", "<i4"), ("offset", "<i4")])
_SHORT = 12
_SCHEMA = pa.schema([("line", pa.string_view())])
# What reading a file may well raise.
_EXPECTED = (BrokenFileError, duckdb.Error, OSError)

# Takes the lines; returns what was asked of them.
Pass = Callable[[pa.RecordBatchReader], str]


class ComingFile:
    """Hands the lines of plain UTF-8 on to a pass in a thread of its own.

    ``plan`` makes the pass from the first lines; ``count`` has seen what is added. Neither the errors of the plan nor
    those of the pass are told: they come again when the file is read from the disk.
    """

    def __init__(self, plan: Callable[[bytes], Pass], count: TextCount):
        self._plan, self._count = plan, count
        self._helper = ThreadPoolExecutor(1)
        self._pass: Future[str] | None = None
        self._is_over = False
        # The same memory over and over: fresh pages would cost more than the lines.
        self._free: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[pa.RecordBatch | None] = queue.SimpleQueue()
        self._mask = np.empty(_BLOCK, np.bool_)
        self._block, self._filled = _new_block(), 0
        for _ in range(_BLOCKS - 1):
            self._free.put(_new_block())

    def add(self, part: memoryview) -> None:
        """Take the bytes that come next; waits until there is room for them."""
        while part and not self._is_over:
            taken = min(len(part), _BLOCK - self._filled)
            self._block[self._filled : self._filled + taken] = part[:taken]
            part = part[taken:]
            self._filled += taken
            if self._filled == _BLOCK:
                self._hand_over()

    def complete(self) -> str | None:
        """Wait for the pass over all lines; returns what was asked of them, None where it came to nothing."""
        if self._filled and not self._is_over:
            self._hand_over()
        is_whole = not self._is_over and not self._filled
        self.close()
        error = self._pass.exception() if self._pass else None
        if error and not isinstance(error, _EXPECTED):
            raise error
        return self._pass.result() if self._pass and is_whole and not error else None

    def close(self) -> None:
        """End the pass, whether all bytes have come or not."""
        self._is_over = True
        self._ready.put(None)
        self._helper.shutdown()

    def _hand_over(self) -> None:
        block, size = self._block, self._filled
        ends = np.flatnonzero(np.equal(block[:size], ord("\n"), out=self._mask[:size]))
        starts = np.concatenate(([0], ends[:-1] + 1))
        if not self._count.is_plain or not len(ends) or (ends - starts).min() <= _SHORT:
            self._is_over = True
            return
        used = int(ends[-1]) + 1
        if not self._pass:
            self._start(block[:used].tobytes())
        rest = block[used:size].tobytes()
        self._ready.put(_batch(block[:used], starts, ends, self._free, block))
        self._block, self._filled = self._room(), len(rest)
        self._block[: self._filled] = np.frombuffer(rest, np.uint8)

    def _start(self, beginning: bytes) -> None:
        try:
            run = self._plan(beginning)
        except _EXPECTED:
            self._is_over = True
            return
        lines = pa.RecordBatchReader.from_batches(_SCHEMA, self._batches())
        self._pass = self._helper.submit(run, lines)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        while (batch := self._ready.get()) is not None:
            yield batch

    def _room(self) -> np.ndarray:
        """A block for what comes next, once there is one or the pass has taken all and may be waiting for more."""
        while True:
            try:
                return self._free.get(timeout=_WAIT_SECONDS)
            except queue.Empty:
                if self._pass and self._pass.done():
                    self._is_over = True
                if self._is_over or self._ready.empty():
                    return _new_block()


def _new_block() -> np.ndarray:
    return np.frombuffer(mmap.mmap(-1, _BLOCK), np.uint8)


def _batch(
    lines: np.ndarray, starts: np.ndarray, ends: np.ndarray, free: queue.SimpleQueue[np.ndarray], block: np.ndarray
) -> pa.RecordBatch:
    """Lines without their ends, as they lie in ``block``; when nobody needs them any more, that is ``free`` again."""
    views = np.empty(len(ends), _VIEW)
    views["length"], views["buffer"], views["offset"] = ends - starts, 0, starts
    four = np.lib.stride_tricks.as_strided(lines, (len(lines) - 3, 4), (1, 1))
    views["prefix"] = four[starts].view("<u4").ravel()
    weakref.finalize(lines, free.put, block)
    column = pa.Array.from_buffers(pa.string_view(), len(ends), [None, pa.py_buffer(views), pa.py_buffer(lines)])
    return pa.record_batch([column], schema=_SCHEMA)
