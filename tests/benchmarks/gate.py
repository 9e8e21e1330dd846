"""Rows per second and memory of the contract gate, beside plain DuckDB, Great Expectations and datacontract-cli.

    python -m tests.benchmarks.gate [--millions 1 10 50] [--formats csv json parquet]

Writes ``docs/benchmark_gate.md``. Each figure is a process of its own, timed after its imports. *Scan* reads every
column with the agreed types; *write* also writes it as Parquet (zstd): the yardstick. *Gate* is ``load_source``: copy
and hash of the bytes, inspection, strict casts, all rules, keys, accepted rows, quarantine. *GX* runs the suite that
the same contract compiles to over the accepted rows; *datacontract test* checks a contract of the same columns over
the provider's file, in an environment of its own, because it asks for an older DuckDB.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import duckdb
import yaml

from tests.conftest import PROJECT

PAGE = PROJECT / "docs" / "benchmark_gate.md"
ENDINGS = {"csv": "csv", "json": "jsonl", "parquet": "parquet"}
TYPES = {
    "order": "VARCHAR",
    "line": "VARCHAR",
    "time": "TIMESTAMP",
    "kind": "VARCHAR",
    "qty": "DECIMAL(18,3)",
    "amount": "DECIMAL(18,2)",
    "discount": "DECIMAL(18,2)",
    "mail": "VARCHAR",
    "store": "VARCHAR",
    "product": "VARCHAR",
    "category": "VARCHAR",
    "card": "VARCHAR",
}
# One line in a thousand breaks a rule, one in two thousand repeats the line before it.
ROWS = """
    SELECT 'O' || (k // 3) AS "order", CAST(k % 3 + 1 AS VARCHAR) AS line,
           strftime(TIMESTAMP '2024-01-01' + INTERVAL (k * 37 % 31536000) SECOND, '%Y-%m-%dT%H:%M:%S') AS time,
           CASE WHEN k % 1000 = 999 THEN 'gift' WHEN k % 17 = 0 THEN 'return' ELSE 'sale' END AS kind,
           k % 5 + 1 AS qty, CAST((hash(k) % 20000) / 100.0 AS DECIMAL(10, 2)) AS amount,
           CASE WHEN k % 4 = 0 THEN '0.00' END AS discount,
           CASE WHEN k % 3 = 0 THEN 'user' || (k % 500000) || '@example.org' END AS mail,
           'S' || (k % 200) AS store, 'P' || (hash(k * 7) % 20000) AS product, 'cat' || (k % 40) AS category,
           CASE WHEN k % 2 = 0 THEN 'L' || (k % 300000) END AS card
    FROM (SELECT CASE WHEN i % 2000 = 1 THEN i - 1 ELSE i END AS k FROM range({rows}) AS t(i))
"""
PLAIN = """
import json, sys, time
what, file_format, path, target = sys.argv[1:5]
types = json.loads(sys.argv[5])
import duckdb
started = time.monotonic()
connection = duckdb.connect(config={"threads": 2, "memory_limit": "4GB"})
connection.execute("SET enable_progress_bar = false")
columns = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in types.items()) + "}"
table = {
    "csv": f"read_csv('{path}', header = true, columns = {columns})",
    "json": f"read_json('{path}', format = 'newline_delimited', columns = {columns})",
    "parquet": f"read_parquet('{path}')",
}[file_format]
if what == "scan":
    connection.execute("SELECT " + ", ".join(f'max("{name}")' for name in types) + f" FROM {table}").fetchall()
else:
    connection.execute(f"COPY (SELECT * FROM {table}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
"""
GATE = """
import json, sys, time
from pathlib import Path
from transforms.contracts import load_contracts
from transforms.settings import Settings
from transforms.lake.load import load_source
import pyarrow.dataset, pandas, transforms.lake.readers.delimited, transforms.lake.readers.json_lines
what, home = sys.argv[1], Path(sys.argv[2])
settings = Settings(home=home, contracts=home / "contracts", memory_limit="4GB", threads=2)
contract = load_contracts(settings.entities, settings.contracts).sources["shop"]
if what == "gate":
    started = time.monotonic()
    record = load_source(settings, contract).records[0]
    assert record.status == "loaded" and record.rows_quarantined and record.rows_duplicate, record
else:
    import great_expectations
    from transforms.lake.records import read_record, source_folder
    from transforms.quality import validate_load
    records = [read_record(path) for path in source_folder(settings, contract).iterdir()]
    started = time.monotonic()
    report = validate_load(settings, contract, records)
    assert report and report.passed, report
"""
# What every one of them ends with: seconds and CPU seconds since ``started``, peak memory in MB.
REPORT = """
import resource
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([time.monotonic() - started, usage.ru_utime + usage.ru_stime - cpu_before, usage.ru_maxrss / 1024]))
"""
CPU_BEFORE = """import resource
usage = resource.getrusage(resource.RUSAGE_SELF)
cpu_before = usage.ru_utime + usage.ru_stime
started = time.monotonic()
"""


def timed(script: str, *arguments: str) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds, peak MB of a script from the line ``started = …`` on."""
    indented = {0: CPU_BEFORE, 4: "    " + CPU_BEFORE.replace("\n", "\n    ").rstrip() + "\n"}
    lines = []
    for line in script.splitlines(keepends=True):
        if line.strip() == "started = time.monotonic()":
            line = indented[len(line) - len(line.lstrip())]
        lines.append(line)
    # What the one before has written goes to disk on its own time.
    os.sync()
    done = subprocess.run(
        [sys.executable, "-c", "".join(lines) + REPORT, *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    wall, cpu, peak = json.loads(done.stdout.splitlines()[-1])
    return wall, cpu, peak


def make_file(folder: Path, file_format: str, rows: int) -> Path:
    """Write the provider's file."""
    path = folder / f"x.{ENDINGS[file_format]}"
    select = ROWS.format(rows=rows)
    if file_format == "parquet":
        typed = ", ".join(f"CAST({name} AS {TYPES[name]}) AS {name}" for name in ("time", "qty", "amount", "discount"))
        select = f"SELECT * REPLACE ({typed}) FROM ({select})"
    options = {"csv": "HEADER", "json": "FORMAT json", "parquet": "COMPRESSION zstd"}[file_format]
    with duckdb.connect(config={"memory_limit": "4GB"}) as connection:
        connection.execute(f"COPY ({select}) TO '{path}' ({options})")
    return path


def sign_contract(home: Path, path: Path, file_format: str) -> None:
    """Write the contract of the file into the home's folder of contracts."""
    from tests.transforms.lake.shop import contract_document

    document = contract_document(file_format)
    document["servers"][0]["path"] = str(path)
    document["schema"][0]["properties"] += [
        {"name": name, "physicalName": physical, "logicalType": "string"}
        for name, physical in (("store_id", "store"), ("product_id", "product"), ("product_category", "category"))
    ] + [{"name": "loyalty_id", "physicalName": "card", "logicalType": "string"}]
    (home / "contracts").mkdir()
    (home / "contracts" / "shop.odcs.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def datacontract(folder: Path, path: Path, file_format: str, rows: int) -> tuple[float, float, float] | None:
    """Time of ``datacontract test`` over the provider's file, None where it cannot be had."""
    executable = os.environ.get("DATACONTRACT")
    # It takes JSON through Python objects, more than a gigabyte of memory a million.
    if not executable or (file_format == "json" and rows > 10_000_000):
        return None
    logical = {"TIMESTAMP": "timestamp", "VARCHAR": "string"}
    document = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "shop",
        "name": "shop",
        "version": "1.0.0",
        "status": "active",
        "servers": [{"server": "files", "type": "local", "path": str(path), "format": file_format}],
        "schema": [
            {
                "name": "shop",
                "logicalType": "object",
                "properties": [
                    {
                        "name": name,
                        "logicalType": logical.get(kind, "number"),
                        "required": name in {"order", "line", "time", "kind", "amount"},
                    }
                    for name, kind in TYPES.items()
                ],
            }
        ],
    }
    contract = folder / "datacontract.yaml"
    contract.write_text(yaml.safe_dump(document, sort_keys=False))
    started = time.monotonic()
    process = subprocess.Popen([executable, "test", str(contract)], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    _, _, usage = os.wait4(process.pid, 0)
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def rows_of(millions: float, file_format: str) -> str:
    """Measure one size of one format; returns a line of the table."""
    rows = int(millions * 1_000_000)
    with tempfile.TemporaryDirectory(prefix="watershed-gate-") as name:
        folder = Path(name)
        path = make_file(folder, file_format, rows)
        sign_contract(folder, path, file_format)
        size = path.stat().st_size / 1e6
        plain = (file_format, str(path), str(folder / "out.parquet"), json.dumps(TYPES))
        scan = timed(PLAIN, "scan", *plain)
        write = timed(PLAIN, "write", *plain)
        gate = timed(GATE, "gate", str(folder))
        checked = timed(GATE, "gx", str(folder))
        outside = datacontract(folder, path, file_format, rows)

    def cell(measured: tuple[float, float, float] | None) -> str:
        return f"{measured[0]:.1f} / {measured[1]:.1f}, {measured[2]:,.0f}" if measured else "–"

    line = (
        f"| {file_format} | {rows:,} | {size:,.0f} | {cell(scan)} | {cell(write)} | {cell(gate)}"
        f" | {rows / gate[0]:,.0f} | **{gate[0] / write[0]:.2f} / {gate[1] / write[1]:.2f}** | {cell(checked)}"
        f" | {cell(outside)} |"
    )
    sys.stderr.write(line + "\n")
    return line


def main() -> None:
    """Measure all sizes and formats and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", nargs="+", type=float, default=[1, 10, 50])
    parser.add_argument("--formats", nargs="+", choices=list(ENDINGS), default=list(ENDINGS))
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    lines = [rows_of(size, file_format) for size in options.millions for file_format in options.formats]
    options.page.write_text(
        f"""# Benchmark of the gate

`make benchmark-gate` makes this page (`DATACONTRACT=/path/to/datacontract` adds the last column). {
            (__doc__ or "").strip().partition("``docs/benchmark_gate.md``. ")[2]
        }

Cells are wall seconds / CPU seconds, peak MB. {platform.machine()}, {os.cpu_count()} cores, DuckDB
{version("duckdb")} with 2 threads and 4GB.

| format | rows | file, MB | scan | write | gate | gate, rows/s | gate : write | GX | datacontract test |
|---|---|---|---|---|---|---|---|---|---|
"""
        + "\n".join(lines)
        + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
