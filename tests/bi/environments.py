"""Environments of the clients: made once from pinned requirements, kept in ``.bi/``."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT

HERE = Path(__file__).resolve().parent
KEPT = PROJECT / ".bi"


def python_environment(name: str) -> Path:
    """Folder of the commands of a virtual environment with ``requirements/<name>.txt``.

    Skips the test, and says why, where the packages cannot be had.
    """
    requirements = HERE / "requirements" / f"{name}.txt"
    folder = _folder(name, requirements.read_bytes() + sys.version.encode())
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        uv = _uv()
        if uv:
            _run(name, uv, "venv", "--quiet", "--python", sys.executable, folder)
            _run(name, uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python", "-r", requirements)
        else:
            _run(name, sys.executable, "-m", "venv", folder)
            _run(name, folder / "bin" / "python", "-m", "pip", "install", "--quiet", "-r", requirements)
        (folder / "complete").touch()
    return folder / "bin"


def node_environment() -> tuple[Path, Path]:
    """Node's command and a folder whose ``node_modules`` hold what ``node/package.json`` pins."""
    node = Path(shutil.which("node") or python_environment("node") / "node")
    npm = shutil.which("npm") or str(python_environment("node") / "npm")
    version = subprocess.run([node, "--version"], capture_output=True, check=True).stdout
    pins = b"".join(path.read_bytes() for path in sorted((HERE / "node").iterdir()))
    folder = _folder("node-api", pins + version)
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(HERE / "node", folder)
        _run("node-api", npm, "install", "--no-audit", "--no-fund", "--no-package-lock", cwd=folder)
        (folder / "complete").touch()
    return node, folder


def _folder(name: str, pins: bytes) -> Path:
    return KEPT / f"{name}-{hashlib.sha256(pins).hexdigest()[:12]}"


def _uv() -> str | None:
    beside = PROJECT / ".tools" / "bin" / "uv"
    return str(beside) if beside.exists() else shutil.which("uv")


def _run(name: str, *command: object, cwd: Path | None = None) -> None:
    # Settings of dbt and Watershed are none of the clients' business.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("WATERSHED_", "DBT_"))}
    done = subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True, check=False, cwd=cwd
    )
    if done.returncode:
        pytest.skip(f"{name} cannot be installed here: {(done.stderr or done.stdout).strip()[-400:]}")
