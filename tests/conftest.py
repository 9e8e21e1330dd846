"""Fixtures that several parts of the tests share."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest

import transforms.settings  # noqa: F401 - before any test loads scipy

PROJECT = Path(__file__).resolve().parent.parent
# Where the public datasets lie, if anywhere.
REAL_DATA = Path(os.environ.get("WATERSHED_REAL_DATA") or PROJECT.parent / "shared" / "data")


def pytest_configure() -> None:
    """Have what tests start be interruptible and modest.

    In a script's background job interrupts are ignored, and once Dagster has run here SIGTERM would be.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Workers share the processors; `make demo` and the benchmarks have them for themselves.
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("WATERSHED_THREADS", "1")


def pytest_collection_finish() -> None:
    """What the imports have left stays to the end: without this, every search for garbage goes through all of it."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """DuckDB's module complains about what is not freed."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the public datasets; tests that need it skip where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no public datasets at {REAL_DATA}: set WATERSHED_REAL_DATA")
    return REAL_DATA
