"""A tool that pushes JSON lines into a folder, as careless as tools are: run as a process by the tests.

It appends in bursts that end within lines, renames its file when it is large, and delivers batches under a temporary
name first. Arguments: folder, number of records, seed. Order ids are 0, 1, 2, …
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

LINE = '{"order":"%d","line":"1","time":"2025-03-01T10:00:00Z","kind":"sale","amount":9.9,"mail":"%s"}\n'
ROTATE_BYTES = 40_000


def main(folder: Path, records: int, seed: int) -> None:
    """Write all records, each once."""
    dice = random.Random(seed)
    current, rotated, batches = folder / "app.jsonl", 0, 0
    number = 0
    while number < records:
        count = min(dice.randint(1, 60), records - number)
        lines = [LINE % (n, "é" * dice.randint(0, 20)) for n in range(number, number + count)]
        number += count
        if dice.random() < 0.2:
            batches += 1
            unfinished = folder / f"batch-{batches}.jsonl.tmp"
            _write(unfinished, "".join(lines), dice)
            unfinished.rename(folder / f"batch-{batches}.jsonl")
            continue
        _write(current, "".join(lines), dice)
        if current.stat().st_size > ROTATE_BYTES:
            rotated += 1
            current.rename(folder / f"app-{rotated}.jsonl")


def _write(path: Path, text: str, dice: random.Random) -> None:
    content = text.encode()
    with path.open("ab", buffering=0) as stream:
        while content:
            piece = dice.randint(1, 3_000)
            stream.write(content[:piece])
            content = content[piece:]
            time.sleep(dice.random() * 0.02)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
