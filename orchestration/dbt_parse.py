"""The dbt project, parsed once: for all runs of a home, and for all homes of a checkout.

What dbt makes of the project depends on its files and on dbt alone, for what differs from home to home is put in while
a model is executed (macros/installation.sql).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp

from orchestration.dbt_arguments import dbt_environment
from transforms.locking import exclusive
from transforms.settings import Settings

# What dbt keeps for itself, for metrics, and, as the last, for everybody.
_FILES = ("partial_parse.msgpack", "semantic_manifest.json", "manifest.json")
_READ_BY_DBT = {".sql", ".yml", ".yaml", ".csv", ".md", ".py"}
_WRITTEN_BY_DBT = {"target", "logs"}
_MARK = "parsed.txt"


def prepare_manifest(settings: Settings) -> Path:
    """Have the dbt project parsed as it is now; returns the manifest's path in the home.

    Raises:
        RuntimeError: dbt cannot parse the project; the message is dbt's own.
    """
    target = settings.home / "dbt"
    with exclusive(target / "parse.lock", "dbt parse", timeout_seconds=300):
        wanted = project_digest(settings.dbt_project)
        mark = target / _MARK
        if mark.exists() and mark.read_text() == wanted and all((target / name).exists() for name in _FILES):
            return target / _FILES[-1]
        mark.unlink(missing_ok=True)
        shared = settings.dbt_project / "target" / "parsed" / wanted
        if not _copied(shared, target):
            _parse(settings)
            _share(target, shared)
        mark.write_text(wanted)
    return target / _FILES[-1]


def project_digest(project: Path) -> str:
    """Digest of all that dbt parses, and of the versions that parse it."""
    digest = hashlib.sha256(f"{version('dbt-core')} {version('dbt-duckdb')}".encode())
    for path in _project_files(project):
        digest.update(f"\0{path.relative_to(project)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}".encode())
    return digest.hexdigest()


def _project_files(project: Path) -> Iterator[Path]:
    for parent, inside, files in os.walk(project):
        inside[:] = sorted(set(inside) - _WRITTEN_BY_DBT)
        yield from (Path(parent, name) for name in sorted(files) if Path(name).suffix in _READ_BY_DBT)


def _parse(settings: Settings) -> None:
    command = [dbt_executable(), "--quiet", "parse", "--project-dir", str(settings.dbt_project)]
    command += ["--profiles-dir", str(settings.dbt_project)]
    environment = {**os.environ, **dbt_environment(settings)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"dbt cannot parse {settings.dbt_project}:\n{done.stdout}{done.stderr}")


def dbt_executable() -> str:
    """The dbt of this very environment, whether or not it is on the path."""
    beside = Path(sys.executable).parent / "dbt"
    return str(beside) if beside.exists() else "dbt"


def _copied(source: Path, target: Path) -> bool:
    """Copy a parsed project; False where there is none, or where it goes while we copy."""
    try:
        for name in _FILES:
            # In one step: a run that is at work may be about to read it.
            Path(shutil.copyfile(source / name, target / f".{name}")).replace(target / name)
    except OSError:
        return False
    return True


def _share(parsed: Path, shared: Path) -> None:
    """Leave a parsed project for other homes, in one step, in place of what was parsed before the files changed.

    A checkout that we may not write to is none to share through.
    """
    with suppress(OSError):
        shared.parent.mkdir(parents=True, exist_ok=True)
        former = list(shared.parent.iterdir())
        fresh = Path(mkdtemp(prefix=".", dir=shared.parent))
        fresh.chmod(0o755)
        if _copied(parsed, fresh):
            fresh.replace(shared)
        for folder in former:
            shutil.rmtree(folder, ignore_errors=True)
