"""Dagster, dbt and Great Expectations are a million objects: what stays need not be searched for garbage."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_imports(module: str) -> Iterator[None]:
    """Do what brings a large module in without looking for garbage, then and later: a quarter of such a start.

    Where the module is there already, as in a process that has been at work for long, nothing is done.
    """
    if module in sys.modules or not gc.isenabled():
        yield
        return
    with unsearched():
        yield
    # DuckDB's module complains at the end about what was not freed.
    atexit.register(gc.unfreeze)


@contextmanager
def unsearched() -> Iterator[None]:
    """Make what stays to the end of the process, and is searched for garbage neither now nor later."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
