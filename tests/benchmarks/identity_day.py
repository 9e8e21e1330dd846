"""What a day costs identity resolution in the sample company, linkage included, beside everything resolved anew.

    python -m tests.benchmarks.identity_day [--people 200000]

Writes ``docs/benchmark_identity_day.md``. The company goes through the whole path without its newest hundredth of rows,
then with the older half of that, which changes about a hundredth of what identity reads, its observations, then with
all of it. Each time its identities are resolved again from the state before, in processes of their own that are timed
after their imports, and beside them from nothing, with a model to train: three times by turns, of which the best count.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import duckdb

from tests.benchmarks.daily import RUN, hold_back
from tests.benchmarks.full_path import WRITE, measure
from tests.benchmarks.identity import timed
from tests.conftest import PROJECT
from transforms.settings import Settings

PAGE = PROJECT / "docs" / "benchmark_identity_day.md"
NEWEST = 0.01
LATER = 0.44
"""Of the newest hundredth of rows so much comes with the second day: the rest changes about 1 % of the observations."""
TURNS = 3
EVERYTHING = "everything, with a model to train"
OUTCOMES = ("identity", "linkage")
RESOLVE = """
settings = Settings(home=sys.argv[2])
contracts = load_contracts(settings.entities, settings.contracts)
report = resolve_identities(settings, contracts.phone_regions, as_of_date(settings, contracts), "benchmark",
                            linker=profile_linker(settings, "benchmark"))
found = lambda: report.seconds | {"customers": report.customers, "reached": report.resolved / report.observations}
"""
IMPORTS = """
import splink
from transforms.contracts import load_contracts
from transforms.identity import resolve_identities
from transforms.lake.as_of import as_of_date
from transforms.linkage import profile_linker
from transforms.settings import Settings
"""
OBSERVED = "SELECT identity_key, fingerprint FROM warehouse.intermediate.int_identity_observations"


@dataclass(frozen=True)
class Day:
    """One run of the identity step; ``changed``: share of observations that are new or another than before."""

    name: str
    changed: float
    wall: float
    cpu: float
    peak: float
    steps: dict[str, float]


class Company:
    """A home of the sample company, and its identities as they were before the newest rows came."""

    def __init__(self, folder: Path, people: int) -> None:
        self.settings = Settings(home=folder / "home", demo_people=people)
        self.environment = {"WATERSHED_HOME": str(self.settings.home), "WATERSHED_DEMO_PEOPLE": str(people)}
        self.folder = folder
        measure([sys.executable, "-c", WRITE], self.environment)
        hold_back(self.settings.incoming, folder / "first", NEWEST)
        hold_back(folder / "first", folder / "second", LATER)
        measure(RUN, self.environment)
        for outcome in OUTCOMES:
            shutil.copytree(self.settings.lake / outcome, folder / outcome, symlinks=True)
        self._observations(f"COPY ({OBSERVED}) TO '{folder / 'before.parquet'}'")

    def _observations(self, query: str) -> float:
        with duckdb.connect() as connection:
            connection.execute(f"ATTACH '{self.settings.warehouse}' AS warehouse (READ_ONLY)")
            [(found,)] = connection.execute(query).fetchall()
            return float(found)

    def receive(self, part: str) -> None:
        """Bring held back rows through the whole path, so that the warehouse has them."""
        for file in sorted((self.folder / part).rglob("*.*")):
            shutil.move(file, self.settings.incoming / file.parent.name / file.name)
        measure(RUN, self.environment)

    def resolve(self, name: str, is_day: bool) -> Day:
        """Resolve identities from the state before the newest rows, or from nothing."""
        for outcome in OUTCOMES:
            shutil.rmtree(self.settings.lake / outcome)
            if is_day:
                shutil.copytree(self.folder / outcome, self.settings.lake / outcome, symlinks=True)
        # What was written before must not go to the disk while this is timed.
        os.sync()
        changed = self._observations(
            f"SELECT count(*) FILTER (b.fingerprint IS NULL) / count(*) FROM ({OBSERVED})"
            f" LEFT JOIN read_parquet('{self.folder / 'before.parquet'}') b USING (identity_key, fingerprint)"
        )
        empty = self.folder / "none.duckdb"
        duckdb.connect(str(empty)).close()
        wall, cpu, peak, found = timed(RESOLVE, IMPORTS, str(empty), str(self.settings.home))
        day = Day(name, changed, wall, cpu, peak, dict(found))  # type: ignore[call-overload]
        sys.stderr.write(f"{day}\n")
        return day

    def by_turns(self, name: str) -> tuple[Day, Day]:
        """A day and everything, the best of three each: memory and disk of a shared machine have good and bad hours."""
        turns = [(self.resolve(name, True), self.resolve(EVERYTHING, False)) for _ in range(TURNS)]
        best = [min(of_kind, key=lambda day: day.wall) for of_kind in zip(*turns, strict=True)]
        return best[0], best[1]


def line(day: Day, everything: Day) -> str:
    """Line of the table."""
    steps = dict(day.steps)
    customers, reached = steps.pop("customers"), steps.pop("reached")
    text = ", ".join(f"{name} {seconds:.1f}" for name, seconds in steps.items())
    shares = f"{day.wall / everything.wall:.1%} / {day.cpu / everything.cpu:.1%}" if day is not everything else ""
    changed = f"{day.changed:.1%}" if day is not everything else ""
    return (
        f"| {day.name} | {changed} | {reached:.0%} | {day.wall:.1f} / {day.cpu:.1f} | {shares} | {day.peak:,.0f}"
        f" | {customers:,.0f} | {text} |"
    )


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=200_000)
    people = parser.parse_args().people
    with tempfile.TemporaryDirectory(prefix="watershed-benchmark-") as folder:
        company = Company(Path(folder), people)
        company.receive("first")
        measured = [company.by_turns("a hundredth of the observations")]
        company.receive("second")
        measured.append(company.by_turns("the newest hundredth of all rows"))
    lines = [line(run, everything) for day, everything in measured for run in (everything, day)]
    settings = Settings()
    PAGE.write_text(
        f"""# A day of identity resolution, measured

`python -m tests.benchmarks.identity_day`: the sample company of {people:,} people, linkage included. Its newest
hundredth of rows comes in two parts: the first changes about a hundredth of what identity reads, both together change
more, as the newest rows are of the best customers. Each run is a process of its own, timed after its imports. A day
begins with the state before the newest rows; it is measured {TURNS} times, by turns with a run over everything, from
nothing, and the best of each count. Seconds are wall / CPU, the shares are of the run over everything above.

{platform.machine()}, DuckDB {version("duckdb")} with {settings.threads} threads and {settings.memory_limit}, Splink\
 {version("splink")}.

| what came | observations changed | worked out | s | of everything | peak MB | customers | steps, s |
|---|---|---|---|---|---|---|---|
"""
        + "\n".join(lines)
        + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
