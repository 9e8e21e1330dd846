"""The lines that docs/bi.md tells people to type."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.bi.environments import HERE, node_environment, python_environment
from tests.bi.publications import Publisher
from tests.conftest import PROJECT

pytestmark = pytest.mark.bi

DOCS = (PROJECT / "docs" / "bi.md").read_text(encoding="utf-8")
PYTHON = [
    (environment, code)
    for environments, code in re.findall(r"<!-- recipe: ([\w. -]+) -->\n```python\n(.*?)```", DOCS, flags=re.S)
    for environment in environments.split()
]


@pytest.fixture
def folder(publisher: Publisher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which ``data`` is the home, as in a checkout."""
    folder = tmp_path_factory.mktemp("recipe")
    (folder / "data").symlink_to(publisher.home)
    return folder


def run(folder: Path, *command: object) -> str:
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("environment", "code"), PYTHON, ids=[environment for environment, _ in PYTHON])
def test_python(folder: Path, environment: str, code: str) -> None:
    assert "Champions" in run(folder, python_environment(environment) / "python", "-c", code)


def test_every_python_recipe_is_run() -> None:
    assert len(re.findall(r"```python", DOCS)) == len(re.findall(r"<!-- recipe:", DOCS)) == 5


def test_command_line(folder: Path) -> None:
    (sql,) = re.findall(r"### DuckDB command line.*?```sql\n(.*?)```", DOCS, flags=re.S)
    duckdb = python_environment("duckdb-cli") / "duckdb"
    lines = "\n".join(line.split("   --")[0] for line in sql.splitlines()) + "\nFROM marts.publication;\n"
    command = [duckdb, "-readonly", "-batch", "data/published/customer360.duckdb"]
    done = subprocess.run(list(map(str, command)), cwd=folder, input=lines, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert "Champions" in done.stdout and "RFM segment" in done.stdout and "run-1" in done.stdout


def test_node(folder: Path) -> None:
    node, modules = node_environment()
    (code,) = re.findall(r"```js\n(.*?)```", DOCS, flags=re.S)
    (folder / "node_modules").symlink_to(modules / "node_modules")
    (folder / "recipe.mjs").write_text(code)
    assert "Champions" in run(folder, node, "recipe.mjs")


def test_the_table_names_the_versions_that_are_tested() -> None:
    pins = {
        name: version
        for path in (HERE / "requirements").glob("*.txt")
        for name, version in re.findall(r"^([\w-]+)==([\w.]+)", path.read_text(), flags=re.M)
        if path.stem.startswith(name) or name in {"sqlalchemy", "apache-superset"}
    }
    tested = DOCS.split("## Tested")[1].split("## Recipes")[0]
    for name in (
        "duckdb-cli",
        "duckdb-engine",
        "duckdb-sqlalchemy",
        "pandas",
        "polars",
        "harlequin",
        "apache-superset",
    ):
        row = next(line for line in tested.splitlines() if name.removeprefix("apache-") in line.lower())
        assert f"| {pins[name]} |" in row, name
    assert '"@duckdb/node-api": "1.5.6-r.1"' in (HERE / "node" / "package.json").read_text()
    assert "| 1.5.6-r.1 |" in tested
