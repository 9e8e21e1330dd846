"""Is the software what the project was tested with?"""

from __future__ import annotations

import platform
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from transforms.operations.findings import Finding, fault, ok, warning
from transforms.settings import PROJECT_DIR, Settings

# Storage versions as they stand in the head of a file, and the oldest DuckDB that reads them.
_STORAGE = {64: "v1.0.0", 65: "v1.2.0", 66: "v1.3.0", 67: "v1.4.0", 68: "v1.5.0"}
WANTED_STORAGE = "v1.4.0"
_SETUP = "make setup"


def software(settings: Settings, project: Path = PROJECT_DIR) -> Iterator[Finding]:
    """Python, packages, dbt, and the format of the two DuckDB files."""
    declared = _read_toml(project / "pyproject.toml").get("project", {})
    yield _python(str(declared.get("requires-python", ">=3.11")))
    yield from _packages(declared.get("dependencies", []), _read_toml(project / "uv.lock").get("package", []))
    yield _dbt()
    for name, file in (("warehouse", settings.warehouse), ("published file", settings.published)):
        if file.exists():
            yield _storage(name, file)


def _read_toml(path: Path) -> dict:
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _python(required: str) -> Finding:
    found = platform.python_version()
    least = tuple(int(part) for part in re.findall(r"\d+", required)[:2])
    if sys.version_info[:2] < least:
        return fault("python", f"Python {found}, needed is {required}", f"install it and run: {_SETUP}")
    return ok("python", f"Python {found}")


def _packages(declared: list[str], locked: list[dict]) -> Iterator[Finding]:
    """The direct dependencies against the lock file, which is what the tests ran with."""
    # One package may be locked in several versions, for several versions of Python.
    wanted: dict[str, set[str]] = {}
    for package in locked:
        wanted.setdefault(package["name"], set()).add(package.get("version", ""))
    names = [re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0] for text in declared]
    missing, other = [], []
    for name in names:
        try:
            found = version(name)
        except PackageNotFoundError:
            missing.append(name)
            continue
        if name in wanted and found not in wanted[name]:
            other.append(f"{name} {found} (locked: {', '.join(sorted(wanted[name]))})")
    if missing:
        yield fault("packages", f"not installed: {', '.join(missing)}", _SETUP)
    if other:
        yield warning("packages", f"other versions than tested: {', '.join(other)}", _SETUP)
    if not wanted:
        yield warning("packages", "no uv.lock beside the code: versions cannot be compared", "run from a checkout")
    elif not missing and not other:
        yield ok("packages", f"{len(names)} direct dependencies as locked, duckdb {version('duckdb')}")


def _dbt() -> Finding:
    beside = Path(sys.executable).parent / "dbt"
    if beside.exists() or shutil.which("dbt"):
        return ok("dbt", f"dbt-core {version('dbt-core')}, dbt-duckdb {version('dbt-duckdb')}")
    return fault("dbt", f"there is no dbt at {beside}", _SETUP)


def _storage(name: str, file: Path) -> Finding:
    """The storage version out of the first bytes of a file, which is not opened: somebody may be writing it."""
    with file.open("rb") as stream:
        head = stream.read(20)
    if len(head) < 20 or head[8:12] != b"DUCK":
        remedy = "restore it from the backup, or move it away and run again; see docs/operations.md, Corrupt files"
        return fault(name, f"{file} is no DuckDB file", remedy)
    number = int.from_bytes(head[12:20], "little")
    found = _STORAGE.get(number, f"number {number}")
    if found != WANTED_STORAGE:
        remedy = "see docs/operations.md, Corrupt files" if name == "warehouse" else "watershed publish"
        return warning(name, f"storage version {found}, wanted is {WANTED_STORAGE}: clients may not read it", remedy)
    return ok(name, f"storage version {found}, {file.stat().st_size / 1e6:,.0f} MB")
