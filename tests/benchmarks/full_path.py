"""Time and memory of the full path at several sizes, beside a hand-written DuckDB script that makes the same marts.

    python -m tests.benchmarks.full_path [--factors 1 4 16] [--people 50000] [--since 2024-10-01]
        [--home FOLDER] [--page FILE]

Writes ``docs/benchmark.md``. The yardstick is ``tests/benchmarks/yardstick``; both read the same incoming files in one
process after the other, with the same threads and memory limit. Where the two disagree on a figure by more than the
tolerance of ``yardstick/agreement.py`` the benchmark ends. Seconds depend on the machine: compare the ratios.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import duckdb

from tests.benchmarks.yardstick.agreement import Compared, compare
from tests.conftest import PROJECT
from transforms.settings import Settings
from transforms.sql import scalars

PAGE = PROJECT / "docs" / "benchmark.md"
YARDSTICK = "tests.benchmarks.yardstick.run"
_HEAD = (
    "| size | people | records | full run, s | peak, MB | records/s | yardstick, s | its peak, MB | ratio | growth"
    " | nothing new, s | published, MB |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
)
_PERIOD = re.compile(r"_(?P<year>\d{4})-(?:W(?P<week>\d\d)|Q(?P<quarter>\d)|(?P<month>\d\d))")
_WITHOUT_HISTORY = ("crm_profiles", "consents", "product_catalogue")
"""Sources that say what is so; with their first files gone, what comes later would speak of nobody and nothing."""
WRITE = "from transforms.demo import write_company; from transforms.settings import Settings; write_company(Settings())"


@dataclass(frozen=True)
class Measured:
    """One process with its children: wall and CPU seconds, peak memory in MB of the largest of them."""

    wall: float
    cpu: float
    peak: float

    def __str__(self) -> str:
        return f"{self.wall:.0f} / {self.cpu:.0f}"


@dataclass(frozen=True)
class Row:
    """One size: both sides measured on the same files."""

    factor: int
    people: int
    records: int
    full: Measured
    again: Measured | None
    yardstick: Measured
    published: float
    compared: tuple[Compared, ...]

    def line(self, first: Row) -> str:
        """Line of the table; growth is CPU seconds per record beside those of the first row."""
        growth = self.full.cpu / self.records * first.records / first.full.cpu
        return (
            f"| {self.factor}× | {self.people:,} | {self.records:,} | {self.full} | {self.full.peak:,.0f}"
            f" | {self.records / self.full.wall:,.0f} | {self.yardstick} | {self.yardstick.peak:,.0f}"
            f" | {self.full.wall / self.yardstick.wall:.1f} / {self.full.cpu / self.yardstick.cpu:.1f} | {growth:.2f}"
            f" | {self.again or '–'} | {self.published:,.0f} |"
        )


def measure(command: Sequence[str], environment: dict[str, str]) -> Measured:
    """Run a command to its end; a failure stops the benchmark."""
    started = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **environment}, cwd=PROJECT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"failed: {' '.join(command)}")
    return Measured(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def period_end(name: str) -> dt.date:
    """Day after the month, week or quarter that a file of the sample company has in its name.

    >>> period_end("app_events_2024-W01.jsonl.gz"), period_end("surveys_2024-Q4.csv")
    (datetime.date(2024, 1, 8), datetime.date(2025, 1, 1))
    """
    found = _PERIOD.search(name)
    if not found:
        raise ValueError(f"{name}: no month, week or quarter in the name")
    year = int(found["year"])
    if found["week"]:
        return dt.date.fromisocalendar(year, int(found["week"]), 1) + dt.timedelta(weeks=1)
    month = int(found["quarter"]) * 3 if found["quarter"] else int(found["month"])
    return dt.date(year + month // 12, month % 12 + 1, 1)


def write_records(settings: Settings, since: dt.date | None) -> int:
    """Write the sample company, of its history what came ``since``; returns its number of records."""
    # In a process of its own: a child's peak memory begins with that of the process that starts it.
    environment = {"WATERSHED_HOME": str(settings.home), "WATERSHED_DEMO_PEOPLE": str(settings.demo_people)}
    written = measure([sys.executable, "-c", WRITE], environment)
    records = 0
    for file in json.loads((settings.truth / "company.json").read_text())["files"]:
        path = settings.incoming / file["source"] / file["name"]
        if since and file["source"] not in _WITHOUT_HISTORY and period_end(file["name"]) <= since:
            path.unlink()
        else:
            records += file["rows"]
    _say(f"{settings.demo_people:,} people, {records:,} records written in {written.wall:.0f} s")
    return records


def measure_size(factor: int, people: int, with_again: bool, folder: Path, since: dt.date | None = None) -> Row:
    """Measure one size in a folder, which is left empty.

    :raises SystemExit: if the yardstick and Watershed have not made the same marts.
    """
    settings = Settings(home=folder / "home", demo_people=people * factor, linkage=False)
    environment = {
        "WATERSHED_HOME": str(settings.home),
        "WATERSHED_DEMO_PEOPLE": str(settings.demo_people),
        "WATERSHED_LINKAGE": "false",
    }
    records = write_records(settings, since)
    run = (sys.executable, "-m", "orchestration.cli", "run")
    full = measure(run, environment)
    _say(f"{factor}x: full run {full} s, {full.peak:,.0f} MB")
    again = measure(run, environment) if with_again else None
    # Only the published file and the incoming files are needed now, and the disk may be small.
    for done in (settings.warehouse, settings.lake, settings.landing):
        shutil.rmtree(done, ignore_errors=True) if done.is_dir() else done.unlink(missing_ok=True)
    other = Settings(home=folder / "yardstick")
    script = (sys.executable, "-m", YARDSTICK, str(settings.incoming), str(other.home), _as_of(settings.published))
    yardstick = measure(script, {"WATERSHED_HOME": str(other.home)})
    _say(f"{factor}x: yardstick {yardstick} s, {yardstick.peak:,.0f} MB")
    compared = tuple(compare(other.warehouse, settings.published))
    apart = [str(figure) for figure in compared if figure.is_apart]
    if apart:
        raise SystemExit("\n".join(["yardstick and Watershed disagree, so that their times mean nothing:", *apart]))
    published = settings.published.stat().st_size / 1e6
    shutil.rmtree(other.home)
    shutil.rmtree(settings.home)
    return Row(factor, settings.demo_people, records, full, again, yardstick, published, compared)


def _as_of(published: Path) -> str:
    with duckdb.connect(str(published), read_only=True) as connection:
        return str(scalars(connection, "SELECT max(as_of_date) FROM marts.customer_360")[0])


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def agreement(compared: Sequence[Compared]) -> str:
    """Lines of the page that show that both have made the same."""
    shown = [figure for figure in compared if "," not in figure.name and not figure.name.endswith(": rows")]
    lines = ["| figure | yardstick | Watershed | apart | may be |", "|---|---|---|---|---|"]
    for figure in shown:
        ours, theirs = figure.yardstick, figure.product
        share = abs(ours - theirs) / abs(theirs) if theirs else 0
        lines.append(f"| {figure.name} | {ours:,.0f} | {theirs:,.0f} | {share:.2%} | {figure.tolerance:.1%} |")
    return "\n".join(lines)


def write_page(page: Path, rows: Sequence[Row], settings: Settings) -> None:
    """Write the page of what has been measured so far."""
    table = "\n".join(row.line(rows[0]) for row in rows)
    last = rows[-1]
    page.write_text(
        f"""# Benchmark of the full path

`make benchmark` makes this page: the sample company at several sizes through everything, from landing to the published
file, beside a hand-written DuckDB script that makes the same marts (`tests/benchmarks/yardstick`: seven SQL files and a
loop). Wall / CPU seconds; peak memory of the largest process. *Ratio* is Watershed to the script, wall / CPU; *growth*
is CPU seconds per record beside those of the first row; *nothing new* is a second run on the same files.

{platform.machine()}, {os.cpu_count()} cores, DuckDB {version("duckdb")} with {settings.threads} threads and
{settings.memory_limit}; seconds on a shared machine vary, the ratio of CPU seconds is steadier.

{_HEAD}
{table}

## What is compared

The script reads the incoming files straight and knows this one company: its cleaning rules are WHERE clauses, it keeps
no refused row, no memory of customer ids, no increments, no checks, no evidence of who was joined and why, and one
currency. It resolves identity by normalised identifiers and connected components, strongest types first, with the
policy's `shared_beyond` alone; purchase models are fitted by `transforms.value` on both sides, because nobody would
write maximum likelihood in SQL. Links by names and birth dates are switched off (`WATERSHED_LINKAGE=false`): the script
has none; what they cost is in [benchmark_linkage.md](benchmark_linkage.md). The marts that tell of the machinery itself
(`load_audit`, `quarantine`, `identity_*`, `customer_id_history`, `segment_changes`, and the diagnostics of the purchase
models) the script does not make.

Given Watershed's own identities, the script's nineteen marts are those of Watershed row by row
(`tests/orchestration/test_yardstick.py`). With its own, figures are apart by what the simpler identity does; beyond the
bounds of `yardstick/agreement.py` the benchmark ends. At {last.people:,} people:

{agreement(last.compared)}
""",
        encoding="utf-8",
    )


def main() -> None:
    """Measure all sizes; the page is written after each, so that a long run that is stopped leaves what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--factors", nargs="+", type=int, default=[1, 4, 16])
    parser.add_argument("--people", type=int, default=50_000)
    parser.add_argument("--again-up-to", type=int, default=4, help="largest factor with a second run, nothing new")
    parser.add_argument("--home", type=Path, help="folder with room for the largest size (40 GB per million people)")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--since", type=dt.date.fromisoformat, help="leave out what the sources sent before this day")
    options = parser.parse_args()
    rows: list[Row] = []
    for factor in options.factors:
        with tempfile.TemporaryDirectory(prefix="watershed-benchmark-", dir=options.home) as folder:
            rows.append(
                measure_size(factor, options.people, factor <= options.again_up_to, Path(folder), options.since)
            )
        _say(rows[-1].line(rows[0]))
        write_page(options.page, rows, Settings())


if __name__ == "__main__":
    main()
