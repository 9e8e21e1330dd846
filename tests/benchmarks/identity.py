"""Time and memory of identity resolution: components alone, and the whole run beside a daily increment.

    python -m tests.benchmarks.identity [--edges 1000000 10000000] [--observations 2000000]

Writes ``docs/benchmark_identity.md``. Each figure is a process of its own, timed after its imports, and all of a table
are measured in one run, so that ratios mean something on a busy machine; CPU seconds are the steadier figure.

*Read and sort* is the yardstick: the edges (two 62-bit ids each) are read from a DuckDB file and sorted once.
*Components* reads them, numbers the nodes, finds the components and writes the labels back. *Splink* is its own
clustering over the same edges.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import duckdb

from tests.conftest import PROJECT

PAGE = PROJECT / "docs" / "benchmark_identity.md"

PREAMBLE = """
import json, resource, sys, time
import duckdb
import numpy as np
{imports}
path = sys.argv[1]
connection = duckdb.connect(config={{"threads": 2, "memory_limit": "4GB"}})
connection.execute("SET enable_progress_bar = false")
connection.execute("SET preserve_insertion_order = false")
connection.execute(f"ATTACH '{{path}}' AS given (READ_ONLY)")
usage = resource.getrusage(resource.RUSAGE_SELF)
cpu = usage.ru_utime + usage.ru_stime
started = time.monotonic()
"""
REPORT = """
wall = time.monotonic() - started
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([wall, usage.ru_utime + usage.ru_stime - cpu, usage.ru_maxrss / 1024, found()]))
"""
SORT = """
connection.execute("CREATE TABLE sorted AS SELECT * FROM given.edges ORDER BY unique_id_l, unique_id_r")
found = lambda: connection.execute("SELECT count(*) FROM sorted").fetchone()[0]
"""
COMPONENTS = """
clusters_of_edges(connection, "given.edges", "unique_id_l", "unique_id_r")
found = lambda: connection.execute("SELECT count(DISTINCT cluster) FROM clusters").fetchone()[0]
"""
SPLINK = """
connection.execute("CREATE VIEW edges AS SELECT *, CAST(1 AS DOUBLE) AS match_probability FROM given.edges")
connection.execute(
    "CREATE TABLE nodes AS SELECT unique_id_l AS unique_id FROM given.edges UNION SELECT unique_id_r FROM given.edges"
)
api = DuckDBAPI(connection)
clusters = cluster_pairwise_predictions_at_threshold("nodes", "edges", api, node_id_column_name="unique_id",
                                                     threshold_match_probability=0.5)
found = lambda: connection.execute(
    f"SELECT count(DISTINCT cluster_id) FROM {clusters.physical_name}").fetchone()[0]
"""
METHODS = {
    "read and sort": (SORT, ""),
    "components": (COMPONENTS, "import pyarrow.dataset\nfrom transforms.identity.components import clusters_of_edges"),
    "Splink": (
        SPLINK,
        "from splink import DuckDBAPI\nfrom splink.clustering import cluster_pairwise_predictions_at_threshold",
    ),
}
# A sparse 62-bit id for each node number, as hashes give.
ID = "CAST(hash({node}) >> 2 AS BIGINT)"
SHAPES = {
    # Two records of a person share something: small components, as identity resolution has them.
    "people": "SELECT {a} AS unique_id_l, {b} AS unique_id_r FROM (SELECT hash(i) % ({n} * 6 // 5) AS p,"
    " hash(i + {n}) % 5 AS k, hash(i + 2 * {n}) % 5 AS m, i FROM range({n}) t(i))",
    "chain": "SELECT {chain_a} AS unique_id_l, {chain_b} AS unique_id_r FROM range({n}) t(i)",
    "star": "SELECT {star_a} AS unique_id_l, {star_b} AS unique_id_r FROM range({n}) t(i)",
}


def make_edges(path: Path, shape: str, edges: int) -> None:
    """Write a DuckDB file with the table ``edges``."""
    query = SHAPES[shape].format(
        n=edges,
        a=ID.format(node="p // 2 * 8 + k"),
        b=ID.format(node="p // 2 * 8 + m"),
        chain_a=ID.format(node="i"),
        chain_b=ID.format(node="i + 1"),
        star_a=ID.format(node="0"),
        star_b=ID.format(node="i + 1"),
    )
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE edges AS {query}")


def timed(script: str, imports: str, *arguments: str) -> tuple[float, float, float, float]:
    """Wall seconds, CPU seconds, peak MB and what was found."""
    text = PREAMBLE.format(imports=imports) + script + REPORT
    done = subprocess.run(
        [sys.executable, "-c", text, *arguments],
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    wall, cpu, peak, found = json.loads(done.stdout.splitlines()[-1])
    return wall, cpu, peak, found


def measure_components(cases: Iterable[tuple[str, int]], skip_splink: set[str]) -> list[dict[str, object]]:
    """One row per shape, size and method."""
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        for shape, edges in cases:
            path = Path(folder) / f"{shape}-{edges}.duckdb"
            make_edges(path, shape, edges)
            for method, (script, imports) in METHODS.items():
                if method == "Splink" and shape in skip_splink:
                    continue
                # The best of three: memory that a shared machine has to find first costs as much as the work.
                wall, cpu, peak, found = min(timed(script, imports, str(path)) for _ in range(3))
                row = {"shape": shape, "edges": edges, "method": method}
                rows.append(row | {"wall": wall, "cpu": cpu, "peak": peak, "found": found})
                print(row, f"{wall:.2f} s, {cpu:.2f} CPU s, {peak:.0f} MB, {found:,}", file=sys.stderr)  # noqa: T201
            path.unlink()
    return rows


# People of one to three addresses and numbers, a card, an account, tokens and browsers, seen together in pairs.
OBSERVATIONS = """
    WITH seen AS (
        SELECT i, i // 8 AS person, i % 8 AS kind FROM range({first}, {last}) t(i)
    )
    SELECT md5(CAST(i AS VARCHAR)) AS identity_key, ['shop', 'till', 'app', 'hotline'][1 + kind % 4] AS source,
           CASE WHEN kind IN (0, 1, 4, 6) THEN 'person' || person || CASE WHEN kind = 6 THEN '.b' ELSE '' END
               || '@example.com' END AS email,
           CASE WHEN kind IN (0, 3, 6) THEN '0151 ' || lpad(CAST(20000000 + person % 70000000 AS VARCHAR), 8, '0') END
               AS phone,
           CASE WHEN kind IN (1, 2) THEN 'L' || lpad(CAST(person AS VARCHAR), 9, '0') END AS loyalty_id,
           CASE WHEN kind IN (5, 7) THEN 'device-' || person || '-' || kind % 2 END AS device_id,
           CASE WHEN kind IN (4, 5, 7) THEN 'user-' || person END AS app_user_id,
           CASE WHEN kind = 2 THEN 'tok-' || person END AS payment_token,
           TIMESTAMP '2025-01-01' + INTERVAL (i % 180) DAY AS first_seen_at,
           TIMESTAMP '2025-01-02' + INTERVAL (i % 180) DAY AS last_seen_at, 3 AS records
    FROM seen
"""
RUN = """
home, day, run_id = sys.argv[2:5]
settings = Settings.model_validate({"home": home, "identifier_key": "benchmark", "identity_churn_bound": 1})
started = time.monotonic()
usage = resource.getrusage(resource.RUSAGE_SELF)
cpu = usage.ru_utime + usage.ru_stime
report = resolve_identities(settings, {name: "DE" for name in ("shop", "till", "app", "hotline")},
                            datetime.date.fromisoformat(day), run_id)
found = lambda: report.seconds | {"customers": report.customers, "reached": report.resolved / report.observations}
"""
RUN_IMPORTS = """
import datetime
from transforms.identity import resolve_identities
from transforms.settings import Settings
"""


def observe(home: Path, last: int, extra: int) -> None:
    """Write the warehouse of observations: all up to ``last``, and one in ``last / extra`` of the known seen again."""
    home.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS intermediate")
        connection.execute(
            "CREATE OR REPLACE TABLE intermediate.int_identity_observations AS"
            " SELECT *, CAST(hash(o) >> 1 AS BIGINT) AS fingerprint"
            f" FROM ({OBSERVATIONS.format(first=0, last=last + extra)}) o"
        )


def measure_runs(observations: int) -> list[dict[str, object]]:
    """A first run over all, a second one over the same and 1 % more, and a first one over that."""
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        home, fresh = Path(folder) / "home", Path(folder) / "fresh"
        more = observations // 100
        observe(home, observations, 0)
        for name, where, extra, day in (
            ("first run", home, 0, "2025-07-01"),
            ("1 % more", home, more, "2025-07-02"),
            ("rebuild of the same", fresh, more, "2025-07-02"),
        ):
            observe(where, observations, extra)
            path = str(Path(folder) / "none.duckdb")
            duckdb.connect(path).close()
            wall, cpu, peak, found = timed(
                RUN, RUN_IMPORTS, path, str(where), day, name.replace(" ", "-").replace("%", "")
            )
            rows.append({"run": name, "wall": wall, "cpu": cpu, "peak": peak, "steps": found})
            print(name, f"{wall:.2f} s, {cpu:.2f} CPU s, {peak:.0f} MB", found, file=sys.stderr)  # noqa: T201
    return rows


def page(components: list[dict[str, object]], runs: list[dict[str, object]], observations: int) -> str:
    """The page, with what was measured and on what."""
    lines = [
        "# Identity resolution, measured",
        "",
        f"`python -m tests.benchmarks.identity`, {platform.machine()}, 2 threads, Python {platform.python_version()},"
        f" DuckDB {version('duckdb')}, Splink {version('splink')}; limit 4 GB. Each figure is"
        " of a process of its own, those of components the best of three. *people*: components of a few nodes, as"
        " identity resolution has them.",
        "",
        "## Components",
        "",
        "| shape | edges | method | s | CPU s | times read and sort | the same, CPU | peak MB | components |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    base = {(row["shape"], row["edges"]): row for row in components if row["method"] == "read and sort"}
    for row in components:
        ratios = " | ".join(
            f"{float(str(row[unit])) / max(float(str(base[row['shape'], row['edges']][unit])), 1e-9):.1f}"
            for unit in ("wall", "cpu")
        )
        found = "" if row["method"] == "read and sort" else f"{row['found']:,}"
        lines.append(
            f"| {row['shape']} | {row['edges']:,} | {row['method']} | {row['wall']:.2f} | {row['cpu']:.2f} |"
            f" {ratios} | {row['peak']:,.0f} | {found} |"
        )
    lines += [
        "",
        "NumPy asks for huge pages, for which the kernel may first move memory about: for the 240 MB of numbering ten"
        " million edges that took .01 or .5 seconds, by chance. The large arrays of components lie on plain pages"
        " instead, always .1 seconds.",
        "",
        "## The whole run",
        "",
        f"{observations:,} observations of combinations of identifiers, without linkage; the sample company, with it:"
        " [benchmark_identity_day.md](benchmark_identity_day.md).",
        "",
    ]
    lines += [
        "| run | s | CPU s | peak MB | customers | observations worked out | steps, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in runs:
        steps = dict(row["steps"])  # type: ignore[call-overload]
        customers, reached = steps.pop("customers"), steps.pop("reached")
        text = ", ".join(f"{name} {seconds:.1f}" for name, seconds in steps.items())
        lines.append(
            f"| {row['run']} | {row['wall']:.1f} | {row['cpu']:.1f} | {row['peak']:,.0f} | {customers:,.0f}"
            f" | {reached:.1%} | {text} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--edges", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--chain", type=int, default=100_000)
    parser.add_argument("--star", type=int, default=1_000_000)
    parser.add_argument("--observations", type=int, default=2_000_000)
    arguments = parser.parse_args()
    cases = [("people", edges) for edges in arguments.edges]
    cases += [("chain", arguments.chain), ("star", arguments.star)]
    # An ordered chain of 100,000 does not end in Splink.
    components = measure_components(cases, {"chain"})
    runs = measure_runs(arguments.observations)
    PAGE.write_text(page(components, runs, arguments.observations), encoding="utf-8")


if __name__ == "__main__":
    main()
