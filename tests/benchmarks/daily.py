"""What a day costs: the sample company, of which the last rows come a day later than the rest.

    python -m tests.benchmarks.daily [--factors 1 4 16] [--people 50000] [--share 0.01] [--since 2024-12-01]

For each size: a first run on everything but the newest share of each source's rows, a run when these have come, a run
with nothing new, and a rebuild of everything. The tables of the second and of the last are compared, row by row: an
increment that is fast and wrong ends the benchmark. Writes ``docs/benchmark_daily.md``.
"""

from __future__ import annotations

import argparse
import datetime as dt
import gzip
import os
import platform
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from tests.benchmarks.full_path import Measured, measure, write_records
from tests.conftest import PROJECT
from transforms.settings import Settings

PAGE = PROJECT / "docs" / "benchmark_daily.md"
RUN = [sys.executable, "-m", "orchestration.cli", "run"]
# A snapshot is all of a table each time: there is no newest part of it.
WHOLE = {"product_catalogue"}
# Tell of runs, not of data.
ABOUT_RUNS = {"publication", "segment_history", "segment_changes", "identity_quality", "customer_id_history"}


def hold_back(incoming: Path, aside: Path, share: float) -> int:
    """Take the newest share of each source's rows out of its files; returns how many rows that are."""
    held = 0
    for source in sorted(path for path in incoming.iterdir() if path.is_dir() and path.name not in WHOLE):
        files = sorted(path for path in source.iterdir() if "_late" not in path.name and "_resent" not in path.name)
        wanted = int(share * sum(_rows(file) for file in files))
        for file in reversed(files):
            rows = _rows(file)
            if not wanted:
                break
            part = min(rows, wanted)
            (aside / source.name).mkdir(parents=True, exist_ok=True)
            if part == rows:
                shutil.move(file, aside / source.name / file.name)
            else:
                stem, dot, ending = file.name.partition(".")
                _split(file, rows - part, aside / source.name / f"{stem}_rest{dot}{ending}")
            held, wanted = held + part, wanted - part
    return held


def _rows(file: Path) -> int:
    if file.suffix == ".parquet":
        return pq.read_metadata(file).num_rows
    return len(_lines(file)) - _header(file)


def _header(file: Path) -> int:
    return 1 if ".csv" in file.name else 0


def _lines(file: Path) -> list[bytes]:
    data = file.read_bytes()
    return (gzip.decompress(data) if file.suffix == ".gz" else data).splitlines(keepends=True)


def _split(file: Path, keep: int, rest: Path) -> None:
    """Leave the first rows in ``file`` and put the others into ``rest``."""
    if file.suffix == ".parquet":
        table = pq.read_table(file)
        pq.write_table(table.slice(keep), rest)
        pq.write_table(table.slice(0, keep), file)
        return
    lines, header = _lines(file), _header(file)
    for path, part in ((rest, [*lines[:header], *lines[header + keep :]]), (file, lines[: header + keep])):
        data = b"".join(part)
        path.write_bytes(gzip.compress(data, 6) if file.suffix == ".gz" else data)


def differences(left: Path, right: Path) -> dict[str, int]:
    """Rows that only one of two published files holds, by table."""
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{left}' AS one (READ_ONLY)")
        con.execute(f"ATTACH '{right}' AS other (READ_ONLY)")
        tables = con.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'one'").fetchall()
        found = {}
        for (table,) in tables:
            row = con.execute(
                f"SELECT count(*) FROM ((FROM one.marts.{table} EXCEPT ALL FROM other.marts.{table})"
                f" UNION ALL (FROM other.marts.{table} EXCEPT ALL FROM one.marts.{table}))"
            ).fetchone()
            if table not in ABOUT_RUNS and row and row[0]:
                found[table] = row[0]
        return found


def line(factor: int, people: int, share: float, since: dt.date | None) -> str:
    """Measure one size; returns a line of the table."""
    with tempfile.TemporaryDirectory(prefix="watershed-benchmark-") as folder:
        home = Path(folder)
        settings = Settings(home=home, demo_people=people * factor)
        environment = {"WATERSHED_HOME": folder, "WATERSHED_DEMO_PEOPLE": str(settings.demo_people)}
        records = write_records(settings, since)
        held = hold_back(settings.incoming, home / "aside", share)
        full = measure(RUN, environment)
        sys.stderr.write(f"{factor}x: first run {_cell(full)} s\n")
        for file in sorted((home / "aside").rglob("*.*")):
            shutil.move(file, settings.incoming / file.parent.name / file.name)
        day = measure(RUN, environment)
        sys.stderr.write(f"{factor}x: the day {_cell(day)} s, {held:,} rows\n")
        shutil.copy(settings.published, home / "after_the_day.duckdb")
        nothing = measure(RUN, environment)
        sys.stderr.write(f"{factor}x: nothing new {_cell(nothing)} s\n")
        rebuilt = measure(RUN, {**environment, "WATERSHED_REBUILD": "true"})
        found = differences(home / "after_the_day.duckdb", settings.published)
    if found:
        raise SystemExit(f"the day's tables are not those of a rebuild: {found}")
    share_of_first = f"{day.wall / full.wall:.0%} / {day.cpu / full.cpu:.0%}"
    cells = (f"{records:,}", _cell(full), f"{held:,}", _cell(day), share_of_first, _cell(nothing), _cell(rebuilt))
    text = f"| {factor}× | {people * factor:,} | {' | '.join(cells)} | {day.peak:,.0f} |"
    sys.stderr.write(text + "\n")
    return text


def _cell(measured: Measured) -> str:
    return f"{measured.wall:.0f} / {measured.cpu:.0f}"


def main() -> None:
    """Measure all sizes and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--factors", nargs="+", type=int, default=[1, 4, 16])
    parser.add_argument("--people", type=int, default=50_000)
    parser.add_argument("--share", type=float, default=0.01, help="share of each source's rows that come with the day")
    parser.add_argument("--since", type=dt.date.fromisoformat, help="leave out what the sources sent before this day")
    options = parser.parse_args()
    lines = [line(factor, options.people, options.share, options.since) for factor in options.factors]
    settings = Settings()
    PAGE.write_text(
        f"""# Benchmark of a day

`python -m tests.benchmarks.daily` makes this page: the sample company without the newest {options.share:.0%} of each
source's rows, then with them, then once more with nothing new, then rebuilt from the lake (`WATERSHED_REBUILD=true`).
The tables after the day and after the rebuild are compared row by row; a difference ends the benchmark. Wall / CPU
seconds, and so the share of the day in the first run; peak memory of the day's largest process.

{platform.machine()}, {os.cpu_count()} cores, DuckDB {version("duckdb")} with {settings.threads} threads and
{settings.memory_limit}; wall seconds on a shared machine vary.

| size | people | records | first run, s | new rows | the day, s | share | nothing new, s | rebuild, s | peak, MB |
|---|---|---|---|---|---|---|---|---|---|
"""
        + "\n".join(lines)
        + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
