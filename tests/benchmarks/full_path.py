"""Time and memory of the full path at several sizes, beside a plain DuckDB script that only reads the same files.

    python -m tests.benchmarks.full_path [--factors 1 4 16] [--people 50000]

Writes ``docs/benchmark.md``. The floor reads every column of every file once, as text where the file is text, in one
DuckDB process with the same threads and memory; what the full path does beyond it is its price. Seconds depend on the
machine: the ratio in the last column is what to compare.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.conftest import PROJECT
from transforms.contracts import load_contracts
from transforms.demo import write_company
from transforms.settings import Settings
from transforms.sources import location

PAGE = PROJECT / "docs" / "benchmark.md"

FLOOR = """
import sys, duckdb
connection = duckdb.connect(config={"threads": int(sys.argv[1]), "memory_limit": sys.argv[2]})
for file_format, delimiter, files in zip(*[iter(sys.argv[3:])] * 3):
    if file_format == "csv":
        table = f"read_csv('{files}', delim = '{delimiter}', all_varchar = true, ignore_errors = true)"
    elif file_format == "json":
        table = f"read_json('{files}', format = 'newline_delimited', ignore_errors = true)"
    else:
        table = f"read_parquet('{files}')"
    connection.execute(f"SELECT bit_xor(hash(t)) FROM {table} AS t").fetchall()
"""

WRITE = "from transforms.demo import write_company; from transforms.settings import Settings; write_company(Settings())"


@dataclass(frozen=True)
class Measured:
    """One process with its children: wall and CPU seconds, peak memory in MB of the largest of them."""

    wall: float
    cpu: float
    peak: float


def measure(command: list[str], environment: dict[str, str]) -> Measured:
    """Run a command to its end; a failure stops the benchmark."""
    started = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **environment}, cwd=PROJECT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"failed: {' '.join(command)}")
    return Measured(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def floor_arguments(settings: Settings) -> list[str]:
    """Format, delimiter and glob of each source, for the script that only reads."""
    contracts = load_contracts(settings.entities, settings.contracts)
    parts = [str(settings.threads), settings.memory_limit]
    for source in contracts.sources.values():
        parts += [source.server.format, source.server.delimiter, location(source, settings)]
    return parts


def row(factor: int, people: int, with_again: bool) -> str:
    """Measure one size; returns a line of the table."""
    with tempfile.TemporaryDirectory(prefix="watershed-benchmark-") as folder:
        settings = Settings(home=Path(folder), demo_people=people * factor)
        environment = {"WATERSHED_HOME": folder, "WATERSHED_DEMO_PEOPLE": str(settings.demo_people)}
        # In a process of its own: a child's peak memory begins with that of the process that starts it.
        written = measure([sys.executable, "-c", WRITE], environment)
        records = sum(write_company(settings).records.values())
        sys.stderr.write(f"{factor}x: {records:,} records written in {written.wall:.0f} s\n")
        floor = measure([sys.executable, "-c", FLOOR, *floor_arguments(settings)], environment)
        full = measure([sys.executable, "-m", "orchestration.cli", "run"], environment)
        again = measure([sys.executable, "-m", "orchestration.cli", "run"], environment) if with_again else None
        published = settings.published.stat().st_size / 1e6
    line = (
        f"| {factor}× | {people * factor:,} | {records:,} | {full.wall:.0f} / {full.cpu:.0f} | {full.peak:,.0f}"
        f" | {records / full.wall:,.0f} | {f'{again.wall:.0f} / {again.cpu:.0f}' if again else '–'} | {published:,.0f}"
        f" | {floor.wall:.1f} / {floor.cpu:.1f} | {full.cpu / floor.cpu:.1f} |"
    )
    sys.stderr.write(line + "\n")
    return line


def main() -> None:
    """Measure all sizes and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--factors", nargs="+", type=int, default=[1, 4, 16])
    parser.add_argument("--people", type=int, default=50_000)
    parser.add_argument("--again-up-to", type=int, default=4, help="largest factor with a second run, nothing new")
    options = parser.parse_args()
    lines = [row(factor, options.people, factor <= options.again_up_to) for factor in options.factors]
    settings = Settings()
    PAGE.write_text(
        f"""# Benchmark of the full path

`make benchmark` makes this page: the sample company at several sizes through everything, from landing to the published
file. "Nothing new" is a second run on the same files. The floor is a plain DuckDB script that reads each column of the
same files once. Wall / CPU seconds; peak memory of the largest process.

{platform.machine()}, {os.cpu_count()} cores, DuckDB {version("duckdb")} with {settings.threads} threads and
{settings.memory_limit}; seconds on a shared machine vary, the ratio of CPU seconds is steadier.

| size | people | records | full run, s | peak, MB | records/s | nothing new, s | published, MB | floor, s | CPU ratio |
|---|---|---|---|---|---|---|---|---|---|
"""
        + "\n".join(lines)
        + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
