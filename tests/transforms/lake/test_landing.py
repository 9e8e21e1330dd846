"""The landing folder holds each delivery's bytes as they came, under their SHA-256."""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from pathlib import Path
from typing import BinaryIO

import pytest

from transforms.lake.landing import land
from transforms.settings import Settings
from transforms.sources.delivery import Delivery

MB = 1 << 20


@pytest.mark.parametrize(
    "sizes",
    [[], [1], [10, 3 * MB, 1, 5 * MB, 7], [4 * MB, 4 * MB], [64 << 10] * 200],
    ids=["nothing", "a byte", "mixed", "just as handed over", "many small ones"],
)
def test_a_delivery_lands_whole_under_its_own_hash(tmp_path: Path, sizes: list[int]):
    chance = random.Random(7)
    pieces = [chance.randbytes(size) for size in sizes]

    def write(target: BinaryIO) -> None:
        for piece in pieces:
            # Whoever delivers may fill the same buffer again.
            buffer = bytearray(piece)
            assert target.write(buffer) == len(piece)
            buffer[:] = bytes(len(piece))

    settings = Settings(home=tmp_path)
    clock = lambda: dt.datetime(2025, 3, 1, tzinfo=dt.UTC)  # noqa: E731
    (landed,) = land(settings, "shop", [Delivery("a.csv", "1", write)], clock)
    whole = b"".join(pieces)
    assert landed.sha256 == hashlib.sha256(whole).hexdigest()
    assert landed.path.read_bytes() == whole
    assert [path.name for path in landed.path.parent.iterdir() if path.name.startswith(".")] == []
