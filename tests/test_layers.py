"""The laws of the house as far as a reader of the code could check them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT

ROOMS = {"orchestration", "transforms", "dbt_project", "data_contracts", "tests", "docs"}
FILES = {"pyproject.toml", "README.md", "Makefile", "uv.lock", "LICENSE", "CHANGELOG.md"}
DATAFRAMES = {"duckdb", "polars", "pandas", "pyarrow", "numpy", "scipy"}
SQL = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+INTO|CREATE\s+(OR\s+REPLACE\s+)?TABLE|UPDATE\s+\w+\s+SET|DELETE\s+FROM)\b", re.S
)
# Who may import whom inside transforms, as the rooms of the architecture say; everyone may use the shared modules.
SHARED = {
    "settings", "sql", "locking", "warehouse", "durability", "pages", "quick_imports", "run_folders", "yaml_text",
}  # fmt: skip
MAY_IMPORT = {
    "contracts": set(),
    "sources": {"contracts"},
    "lake": {"contracts", "sources"},
    "quality": {"contracts", "lake"},
    "identity": set(),
    "linkage": {"identity"},
    "value": set(),
    "builds": {"identity"},
    "publishing": set(),
    "operations": {"contracts", "sources", "lake", "identity", "publishing"},
    "demo": {"contracts", "identity", "publishing"},
}


def modules(folder: str) -> list[Path]:
    return sorted((PROJECT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", modules("transforms"), ids=str)
def test_transforms_are_free_of_the_orchestrator_and_of_dbt(path: Path) -> None:
    found = {name.split(".")[0] for name in imports(path)}
    assert not found & {"dagster", "dagster_dbt", "dbt", "orchestration"}


@pytest.mark.parametrize("path", modules("transforms"), ids=str)
def test_rooms_import_only_whom_they_may(path: Path) -> None:
    room = path.relative_to(PROJECT / "transforms").parts[0].removesuffix(".py")
    used = {name.split(".")[1] for name in imports(path) if name.startswith("transforms.")}
    if room in MAY_IMPORT:
        assert used <= MAY_IMPORT[room] | SHARED | {room}


@pytest.mark.parametrize("path", modules("orchestration"), ids=str)
def test_orchestration_holds_no_sql_and_no_dataframes(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & DATAFRAMES
    texts = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    assert not [text for text in texts if isinstance(text, str) and SQL.search(text)]


@pytest.mark.parametrize("path", [p for p in modules("transforms") if p.name != "settings.py"], ids=str)
def test_only_the_settings_read_the_environment(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert "os.environ" not in source and "getenv(" not in re.sub(r'"[^"]*"', "", source)


def test_only_publishing_writes_the_published_file_and_nobody_the_warehouse() -> None:
    """Every database file is opened read-only, but those of one's own: publishing's new file, the gate's scratch."""
    own = {PROJECT / "transforms" / "lake" / "gate.py": "ATTACH {literal(self._disk)}"}
    for path in modules("transforms"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "duckdb.connect" and call.args):
                continue
            target = ast.unparse(call.args[0])
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert target.strip("'") == ":memory:" or keywords.get("read_only") == "True", f"{path}: {target}"
        source = path.read_text(encoding="utf-8").replace(own.get(path, "\0"), "")
        if re.search(r"\bATTACH\b", source) and "publishing" not in path.parts:
            assert "READ_ONLY" in source, path


def test_models_know_no_clock() -> None:
    clock = re.compile(r"\b(current_date|current_timestamp|now\s*\(|today\s*\(|getdate|run_started_at)", re.I)
    for path in (PROJECT / "dbt_project").rglob("*.sql"):
        if "target" not in path.parts:
            code = re.sub(r"\{#.*?#\}|--[^\n]*", "", path.read_text(encoding="utf-8"), flags=re.S)
            assert not clock.search(code), path


def test_the_top_level_is_the_house() -> None:
    import subprocess

    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=False).stdout
    if not listed:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in listed.splitlines()}
    assert {name for name in top if not name.startswith(".")} == ROOMS | FILES


def test_every_setting_is_documented() -> None:
    from transforms.settings import Settings

    readme = (PROJECT / "README.md").read_text(encoding="utf-8") + "".join(
        path.read_text(encoding="utf-8") for path in (PROJECT / "docs").glob("*.md")
    )
    for name, field in Settings.model_fields.items():
        assert field.description and f"WATERSHED_{name.upper()}" in readme, name
