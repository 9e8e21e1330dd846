"""Seconds and memory of a publication, beside a plain copy of the same tables; readers during fifty publications.

    python -m tests.benchmarks.publication [--gigabytes 0.1 1] [--repeats 3] [--home HOME]

Writes ``docs/benchmark_publication.md``. The warehouse holds the marts of the sample company (2,000 people, or those of
``HOME``, an installation that has run), each customer many times over under other ids, in no order. Each figure is the
median of the repeats, each a process of its own, timed after its imports. *cp* copies the bytes of the warehouse file
and syncs them. *CTAS* creates the same tables with the same columns in a new file with plain DuckDB, in no order, and
syncs it: the yardstick. *Sorted CTAS* does so in the order of the published file. *Publish* is the whole publication:
sorted copy, comments, fingerprint, guard, reading all of it back, comparison with the marts, seal, swap; *again* with a
former publication for the guard to compare with.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import duckdb

from tests.benchmarks.gate import timed
from tests.conftest import PROJECT
from tests.transforms.publishing.toy import (
    READER_LOOP,
    build_of,
    plan_of,
    settings_of,
    start,
    write_manifest,
    write_warehouse,
)
from transforms.publishing import PublicationPlan, publish, read_plan
from transforms.publishing.build import STORAGE_VERSION
from transforms.settings import Settings
from transforms.sql import columns, identifier, literal

PAGE = PROJECT / "docs" / "benchmark_publication.md"
PUBLICATIONS = 50
READERS = 2
PREPARED = """
import datetime as dt, json, os, shutil, sys, time
from pathlib import Path
import duckdb
from transforms.publishing import CheckedBuild, publish, read_plan
from transforms.publishing.checked import PARTS, warehouse_state
from transforms.publishing.sql import copy_table
from transforms.settings import Settings
from transforms.sql import columns, literal
home = Path(sys.argv[1])
settings = Settings(home=home, memory_limit="4GB", threads=2)
plan = read_plan(home / "manifest.json", lambda tag: False)
target = home / "plain.duckdb"
target.unlink(missing_ok=True)
def sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
"""
CP = (
    PREPARED
    + """
started = time.monotonic()
shutil.copyfile(settings.warehouse, target)
sync(target)
"""
)
CTAS = (
    PREPARED
    + """
is_sorted = sys.argv[2] == "sorted"
started = time.monotonic()
connection = duckdb.connect(":memory:", config={"threads": 2, "memory_limit": "4GB"})
connection.execute("SET preserve_insertion_order = false")
connection.execute(f"ATTACH {literal(settings.warehouse)} AS _src (READ_ONLY)")
connection.execute(f"ATTACH {literal(target)} AS _pub (STORAGE_VERSION 'v1.4.0')")
connection.execute("CREATE SCHEMA _pub.marts")
for table in plan.tables:
    statement = copy_table(table)
    connection.execute(statement if is_sorted else statement.partition(" ORDER BY ")[0])
connection.execute("CHECKPOINT _pub")
connection.execute("DETACH _pub")
sync(target)
"""
)
PUBLISH = (
    PREPARED
    + """
build = CheckedBuild("benchmark", dt.date(2025, 6, 30), PARTS, warehouse_state(settings.warehouse))
started = time.monotonic()
publish(settings, plan, build, "benchmark")
"""
)
Measured = tuple[float, float, float]


def sample_home(folder: Path) -> Path:
    """Run the sample company once, in a home of its own."""
    environment = {**os.environ, "WATERSHED_HOME": str(folder / "sample"), "WATERSHED_DEMO_PEOPLE": "2000"}
    command = [sys.executable, "-m", "orchestration.cli", "demo"]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return folder / "sample"


def write_warehouse_of(sample: Path, home: Path, plan: PublicationPlan, gigabytes: float) -> None:
    """Write a warehouse of about that size."""
    warehouse = home / "warehouse.duckdb"
    times = 20
    # The second time with the size that a customer turned out to take.
    for _ in range(2):
        warehouse.unlink(missing_ok=True)
        write_copies(sample, home, plan, times)
        times = max(1, round(times * gigabytes * 1e9 / warehouse.stat().st_size))


def write_copies(sample: Path, home: Path, plan: PublicationPlan, times: int) -> None:
    """Write a warehouse with every customer so many times."""
    with duckdb.connect(
        config={"threads": 2, "memory_limit": "4GB", "temp_directory": str(home / "spill")}
    ) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"ATTACH {literal(Settings(home=sample).warehouse)} AS _sample (READ_ONLY)")
        connection.execute(f"ATTACH {literal(home / 'warehouse.duckdb')} AS _w (STORAGE_VERSION '{STORAGE_VERSION}')")
        connection.execute("CREATE SCHEMA _w.marts")
        for table in plan.tables:
            names = [column.name for column in table.columns]
            listed = columns(names)
            if "customer_id" in names:
                # As many as there would be customers: ids are as long as the real ones and in no order.
                listed = listed.replace(
                    '"customer_id"', "'C' || printf('%016x', hash(\"customer_id\", i)) AS customer_id"
                )
                again = f", range({times}) AS copies(i) ORDER BY hash({columns(names)}, i)"
            else:
                again = ""
            source = f"_sample.{identifier(table.schema)}.{identifier(table.name)}"
            connection.execute(
                f"CREATE TABLE _w.marts.{identifier(table.name)} AS SELECT {listed} FROM {source}{again}"
            )
        connection.execute("CHECKPOINT _w")


def median(script: str, repeats: int, *arguments: str) -> Measured:
    """Wall seconds, CPU seconds and peak MB of a script: medians of its repeats."""
    runs = [timed(script, *arguments) for _ in range(repeats)]
    wall, cpu, peak = (statistics.median(values) for values in zip(*runs, strict=True))
    return wall, cpu, peak


def cell(measured: Measured) -> str:
    return f"{measured[0]:.2f} / {measured[1]:.2f}, {measured[2]:,.0f}"


def line_of(sample: Path, gigabytes: float, repeats: int) -> str:
    """Measure one size; returns a line of the table."""
    with tempfile.TemporaryDirectory(prefix="watershed-publication-") as name:
        home = Path(name)
        shutil.copy(sample / "dbt" / "manifest.json", home / "manifest.json")
        plan = read_plan(home / "manifest.json", lambda tag: False)
        # In a process of its own: those that are measured would inherit the peak of this one.
        writer = multiprocessing.get_context("spawn").Process(
            target=write_warehouse_of, args=(sample, home, plan, gigabytes)
        )
        writer.start()
        writer.join()
        if writer.exitcode:
            raise SystemExit("the warehouse could not be written")
        size = (home / "warehouse.duckdb").stat().st_size / 1e6
        cp = median(CP, repeats, name)
        plain = median(CTAS, repeats, name, "plain")
        ordered = median(CTAS, repeats, name, "sorted")
        (home / "plain.duckdb").unlink()
        firsts = []
        for _ in range(repeats):
            shutil.rmtree(home / "published", ignore_errors=True)
            shutil.rmtree(home / "publication", ignore_errors=True)
            firsts.append(timed(PUBLISH, name))
        first: Measured = tuple(statistics.median(values) for values in zip(*firsts, strict=True))  # type: ignore[assignment]
        again = median(PUBLISH, repeats, name)
        published = Settings(home=home).published
        with duckdb.connect(str(published), read_only=True) as connection:
            tables = connection.execute("SELECT tables FROM marts.publication").fetchone()
        rows = sum(json.loads(tables[0]).values()) if tables else 0
        out = published.stat().st_size / 1e6
    text = (
        f"| {size:,.0f} | {rows:,} | {out:,.0f} | {cell(cp)} | {cell(plain)} | {cell(ordered)} | {cell(first)}"
        f" | {cell(again)} | **{again[0] / plain[0]:.2f} / {again[1] / plain[1]:.2f}** | {again[0] / ordered[0]:.2f}"
        f" | {again[0] / cp[0]:.1f} |"
    )
    sys.stderr.write(text + "\n")
    return text


def read_while_publishing(people: int) -> str:
    """Publish fifty generations of a warehouse while readers open the file again and again; returns what they saw."""
    with tempfile.TemporaryDirectory(prefix="watershed-readers-") as name:
        home = Path(name)
        write_manifest(home)
        write_warehouse(home, generation=1, people=people)
        path = publish(settings_of(home), plan_of(home), build_of(home), "benchmark").path
        stop = home / "stop"
        readers = [start(READER_LOOP, path, stop) for _ in range(READERS)]
        for reader in readers:
            if reader.stdout is None or reader.stdout.readline() != "ready\n":
                raise SystemExit(reader.communicate()[1])
        started = time.monotonic()
        for generation in range(2, PUBLICATIONS + 2):
            write_warehouse(home, generation=generation, people=people)
            publish(settings_of(home), plan_of(home), build_of(home), "benchmark")
        seconds = time.monotonic() - started
        stop.touch()
        results = [json.loads(reader.communicate()[0]) for reader in readers]
    reads = sum(result["reads"] for result in results)
    errors = sum(len(result["errors"]) for result in results)
    mixtures = sum(len(found) != 1 for result in results for found in result["seen"])
    backwards = sum(
        after < before for result in results for before, after in zip(result["seen"], result["seen"][1:], strict=False)
    )
    seen = len({found[0] for result in results for found in result["seen"] if found})
    return (
        f"{PUBLICATIONS} publications of {people:,} customers in {seconds:.0f} s; {READERS} readers opened the file"
        f" {reads:,} times and read three tables each time: **{errors} errors, {mixtures} mixtures,"
        f" {backwards} steps back**, {seen} of {PUBLICATIONS + 1} publications seen."
    )


def main() -> None:
    """Measure all sizes, read while publishing, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", nargs="+", type=float, default=[0.1, 1])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--people", type=int, default=20_000, help="customers of the warehouse that readers watch")
    parser.add_argument("--home", type=Path, help="an installation that has run; default the sample company")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="watershed-sample-") as name:
        sample = options.home or sample_home(Path(name))
        lines = [line_of(sample, size, options.repeats) for size in options.gigabytes]
    watched = read_while_publishing(options.people)
    sys.stderr.write(watched + "\n")
    heads = ["warehouse, MB", "rows", "published, MB", "cp", "CTAS", "sorted CTAS", "publish, first", "publish, again"]
    heads += ["again : CTAS", "again : sorted CTAS", "again : cp"]
    options.page.write_text(
        f"""# Benchmark of the publication

`make benchmark-publication` makes this page. {__doc__.strip().partition("``docs/benchmark_publication.md``. ")[2]}

Cells are wall seconds / CPU seconds, peak MB. {platform.machine()}, {os.cpu_count()} cores, DuckDB {version("duckdb")}
with 2 threads and 4GB; medians of {options.repeats}.

| {" | ".join(heads)} |
{"|---" * len(heads)}|
"""
        + "\n".join(lines)
        + f"""

## Readers

{watched}
""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
