"""DuckDB's command line, kept open as a person has it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.bi.environments import python_environment
from tests.bi.publications import QUESTION, Publisher

pytestmark = pytest.mark.bi


@pytest.fixture(scope="module")
def duckdb() -> Path:
    return python_environment("duckdb-cli") / "duckdb"


def once(duckdb: Path, path: Path, *sql: str) -> subprocess.CompletedProcess[str]:
    command = [duckdb, "-readonly", "-json", path, *(part for text in sql for part in ("-c", text))]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_it_reads_and_cannot_write(duckdb: Path, publisher: Publisher) -> None:
    done = once(duckdb, publisher.path, QUESTION)
    assert json.loads(done.stdout) == [publisher.published[0].answer()]

    described = once(duckdb, publisher.path, "SELECT comment FROM duckdb_tables() WHERE table_name = 'calendar'")
    assert json.loads(described.stdout)[0]["comment"].startswith("One row per day")

    refused = once(duckdb, publisher.path, "DELETE FROM marts.customer_360")
    assert refused.returncode != 0 and "read-only" in refused.stderr


def test_an_open_one_keeps_its_publication_until_it_attaches_again(duckdb: Path, publisher: Publisher) -> None:
    """``.open -readonly`` takes the next publication without leaving."""
    process = subprocess.Popen(
        [str(duckdb), "-readonly", "-json", "-batch", str(publisher.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout

    def ask() -> str:
        process.stdin.write("SELECT run_id FROM marts.publication;\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        return json.loads(process.stdout.readline())[0]["run_id"]  # type: ignore[union-attr]

    assert ask() == "run-1"
    publisher.publish()
    assert ask() == "run-1"
    process.stdin.write(f".open --readonly {publisher.path}\n")
    assert ask() == "run-2"
    process.communicate()
    assert process.returncode == 0
