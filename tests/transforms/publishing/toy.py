"""A small warehouse and its manifest: every table tells its generation, and personal data is planted."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb

from transforms.publishing import CheckedBuild, PublicationPlan, read_plan
from transforms.publishing.checked import PARTS, warehouse_state
from transforms.settings import PROJECT_DIR, Settings

AS_OF = dt.date(2025, 6, 30)
MAIL = "@planted.example"
PHONE = "+4915155"

_TABLES = """
CREATE SCHEMA marts;
CREATE SCHEMA intermediate;
CREATE TABLE marts.customer_360 AS
SELECT 'C' || lpad(i::varchar, 8, '0') AS customer_id,
       'person' || i || '@planted.example' AS email,
       '+4915155' || i AS phone,
       CASE WHEN i % 3 = 0 THEN NULL ELSE ['Lost', 'Champions', 'At Risk'][i % 3 + 1] END AS segment,
       (i * 1.25)::decimal(18, 2) AS net_revenue_amount,
       sqrt(i) AS p_alive,
       'note for person' || i || '@planted.example' AS analyst_note,
       $generation AS generation
FROM range($people) t(i);
CREATE TABLE marts.customer_timeline AS
SELECT 'C' || lpad((i % $people)::varchar, 8, '0') AS customer_id,
       TIMESTAMP '2025-01-01' + to_seconds(i) AS occurred_at,
       'call with +4915155' || i AS subject,
       $generation AS generation
FROM range($people * 3) t(i);
CREATE TABLE intermediate.int_channels AS
SELECT * FROM (VALUES ('app', 2), ('store', 1)) t(channel, touchpoints);
"""
_VIEW = """
CREATE VIEW marts.channel_summary AS
SELECT channel, touchpoints, {generation}::integer AS generation FROM intermediate.int_channels
"""

READER = """
import duckdb, json, sys
query = 'SELECT DISTINCT generation, count(*) OVER () FROM marts.{}'
with duckdb.connect(sys.argv[1], read_only=True) as c:
    tables = ('customer_360', 'customer_timeline', 'channel_summary')
    print(json.dumps({t: c.execute(query.format(t)).fetchall() for t in tables}))
"""

# Reads until the file `stop` appears, and once more after it.
READER_LOOP = """
import duckdb, json, sys
from pathlib import Path
path, stop = sys.argv[1], Path(sys.argv[2])
seen, errors, reads = [], [], 0
print('ready', flush=True)
last = False
while not last:
    last = stop.exists()
    try:
        with duckdb.connect(path, read_only=True) as c:
            found = {g for t in ('customer_360', 'customer_timeline', 'channel_summary')
                     for g, in c.execute(f'select distinct generation from marts.{t}').fetchall()}
    except Exception as error:
        errors.append(repr(error))
        continue
    reads += 1
    seen.append(sorted(found))
print(json.dumps({'seen': seen, 'errors': errors, 'reads': reads}))
"""

PUBLISHER = """
import os, signal, sys
from pathlib import Path
from transforms.publishing import publish, read_plan
from transforms.settings import Settings
from tests.transforms.publishing.toy import build_of
home, run_id, kill_at = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if len(sys.argv) > 4:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), int(sys.argv[4])))
steps = 0
def step(message):
    global steps
    steps += 1
    if steps == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    print(message, flush=True)
plan = read_plan(home / 'manifest.json', lambda tag: False)
print('ready', flush=True)
publish(Settings(home=home, lock_timeout_seconds=30), plan, build_of(home, run_id), '0.1.0', step)
"""


def build_of(home: Path, run_id: str = "run-1", as_of: dt.date = AS_OF) -> CheckedBuild:
    """The warehouse of ``home`` as a run leaves it whose checks have passed."""
    return CheckedBuild(run_id, as_of, PARTS, warehouse_state(home / "warehouse.duckdb"))


def settings_of(home: Path, **changes: Any) -> Settings:
    """Settings of a small machine, without bounds on what a publication may change."""
    bounds = {f"publication_{name}_bound": float("inf") for name in ("customers", "revenue", "segment", "rows")}
    return Settings(home=home, memory_limit="1GB", threads=2, **{"lock_timeout_seconds": 30, **bounds, **changes})


def write_warehouse(home: Path, generation: int = 1, people: int = 300) -> None:
    """Replace the warehouse of ``home`` by one whose every public table holds ``generation``."""
    path = home / "warehouse.duckdb"
    path.unlink(missing_ok=True)
    with duckdb.connect(path) as connection:
        for statement in _TABLES.strip().split(";\n"):
            values = {"generation": generation, "people": people}
            used = {name: value for name, value in values.items() if f"${name}" in statement}
            connection.execute(statement, used)
        connection.execute(_VIEW.format(generation=generation))


def change_warehouse(home: Path, *statements: str) -> None:
    with duckdb.connect(home / "warehouse.duckdb") as connection:
        for statement in statements:
            connection.execute(statement)


def column(name: str, description: str = "", **meta: Any) -> dict[str, Any]:
    return {"name": name, "description": description, "meta": {}, "config": {"meta": meta}}


def model(name: str, columns: list[dict[str, Any]], description: str = "", **meta: Any) -> dict[str, Any]:
    return {
        "resource_type": "model",
        "name": name,
        "alias": name,
        "schema": "marts",
        "description": description,
        "config": {"materialized": "table", "meta": {"publish": True, **meta}},
        "columns": {entry["name"]: entry for entry in columns},
    }


def marts() -> dict[str, dict[str, Any]]:
    """The models of the toy warehouse as dbt's manifest has them, by name."""
    nodes = [
        model(
            "customer_360",
            [
                column("customer_id", "Customer's number."),
                column("email", "Newest e-mail.", personal_data="transactions.email"),
                column("phone", "Newest phone.", personal_data="transactions.phone"),
                column("segment", "RFM segment; it's one of eleven."),
                column("net_revenue_amount", "Net revenue in EUR."),
                column("p_alive"),
                column("generation", "Build that wrote the row."),
            ],
            "One row per customer. It's what marketing opens.",
            published_order=["segment", "customer_id"],
        ),
        model(
            "customer_timeline",
            [column("customer_id"), column("occurred_at", "UTC."), column("generation")],
            "One row per touchpoint.",
            published_order=["customer_id", "occurred_at"],
        ),
        model("channel_summary", [column("channel"), column("touchpoints"), column("generation")], "By channel."),
        {**model("int_channels", [column("channel")]), "config": {"materialized": "table", "meta": {}}},
    ]
    return {node["name"]: node for node in nodes}


def write_manifest(home: Path, nodes: dict[str, dict[str, Any]] | None = None) -> Path:
    path = home / "manifest.json"
    named = {f"model.watershed.{name}": node for name, node in (nodes or marts()).items()}
    path.write_text(json.dumps({"metadata": {}, "nodes": named}))
    return path


def plan_of(
    home: Path, nodes: dict[str, dict[str, Any]] | None = None, allowed: tuple[str, ...] = ()
) -> PublicationPlan:
    return read_plan(write_manifest(home, nodes), lambda tag: tag in allowed)


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a Python process of its own, as a reader or a second publisher is."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def generation_read(path: Path) -> int:
    """Return the generation that a new process reads, having checked that the file is whole."""
    process = start(READER, path)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    tables = json.loads(output)
    generations = {table: [generation for generation, _ in found] for table, found in tables.items()}
    assert all(len(found) == 1 for found in generations.values()), generations
    assert len({found[0] for found in generations.values()}) == 1, f"a mixture: {generations}"
    rows = {table: found[0][1] for table, found in tables.items()}
    assert rows["customer_timeline"] == 3 * rows["customer_360"], rows
    assert rows["channel_summary"] == 2, rows
    return int(generations["customer_360"][0])
