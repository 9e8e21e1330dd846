"""Clients in the wild are older than the writer; a machine is smaller than its data."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import duckdb
import pytest

from transforms.publishing import publish
from transforms.settings import PROJECT_DIR

from .toy import PUBLISHER, READER, build_of, plan_of, settings_of, write_warehouse

PEAK = """
import atexit
atexit.register(lambda: print('peak', int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) // 1024))
"""


@pytest.fixture(scope="session", params=["1.4.0", "1.5.*"])
def old_python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with an older DuckDB, from the package index that pip is set up for."""
    folder = tmp_path_factory.mktemp("old-duckdb")
    try:
        venv.create(folder, with_pip=True)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no virtual environment here: {error}")
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", f"duckdb=={request.param}"]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"duckdb {request.param} can't be installed here: {done.stderr[-300:]}")
    return python


def _read(python: Path, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, "-c", READER, path], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_older_clients_open_the_file(old_python: Path, home: Path) -> None:
    path = publish(settings_of(home), plan_of(home), build_of(home), "0.1.0").path
    with duckdb.connect(home / "newest.duckdb", config={"storage_compatibility_version": "latest"}) as newest:
        newest.execute("CREATE SCHEMA marts; CREATE TABLE marts.customer_360 AS SELECT 1 AS generation")

    read = _read(old_python, path)

    assert read.returncode == 0, read.stderr
    assert '"customer_timeline": [[1, 900]]' in read.stdout
    # The same client can't open what DuckDB writes when nobody asks for an older version.
    assert "newer" in _read(old_python, home / "newest.duckdb").stderr.lower()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_bounded_by_the_setting(home: Path) -> None:
    write_warehouse(home, people=1_500_000)

    # The kernel's own mark of this process: ru_maxrss would begin with that of the process that started it.
    def peak_megabytes(limit: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", PEAK + PUBLISHER, str(home), "run-1", "0"],
            env={**os.environ, "PYTHONPATH": str(PROJECT_DIR), "WATERSHED_MEMORY_LIMIT": limit},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout.rsplit("peak ", 1)[1])

    unbounded = peak_megabytes("4GB")
    bounded = peak_megabytes("150MB")

    # Python, DuckDB's library and what its limit leaves out take about 150 MB.
    assert bounded < 350 < unbounded
