"""Forecasts that are killed at any moment: readers see the old outcome or the new, and the next run is undisturbed."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from tests.killing import Moments, start
from transforms.settings import Settings
from transforms.value import forecast_value
from transforms.value.store import SCHEMAS, ValueStore

from .shops import invented, write_warehouse

KILLS = 12
EARLIER, LATER = dt.date(2025, 3, 31), dt.date(2025, 6, 30)


def tables(settings: Settings) -> dict[str, pl.DataFrame]:
    """Every table of the outcome that readers see."""
    return {name: pl.read_parquet(ValueStore(settings).file(name)) for name in SCHEMAS}


def same(left: dict[str, pl.DataFrame], right: dict[str, pl.DataFrame]) -> bool:
    return all(left[name].equals(right[name]) for name in SCHEMAS)


@pytest.mark.slow
def test_kills_at_random_moments_leave_the_old_outcome_or_the_new(tmp_path: Path) -> None:
    days = invented(1_500)
    settings, undisturbed = (write_warehouse(tmp_path / name, days) for name in ("killed", "undisturbed"))
    forecast_value(undisturbed, EARLIER, "run")
    old = tables(undisturbed)
    started = dt.datetime.now(dt.UTC)
    forecast_value(undisturbed, LATER, "run-2")
    longest = 1.2 * (dt.datetime.now(dt.UTC) - started).total_seconds()
    new = tables(undisturbed)
    assert not same(old, new)
    forecast_value(settings, EARLIER, "run")
    moments = Moments(13, longest)
    kills = attempt = 0
    while kills < KILLS:
        attempt += 1
        if not moments.kill(start(forecast_value, settings, LATER, f"late-{attempt}")):
            assert same(tables(settings), new)
            forecast_value(settings, EARLIER, f"early-{attempt}")
            continue
        kills += 1
        seen = tables(settings)
        assert same(seen, old) or same(seen, new), f"a mixture after kill {kills}"
    forecast_value(settings, LATER, "last")
    assert same(tables(settings), new)
    left = {path.name for path in ValueStore(settings).folder.iterdir()}
    assert left == {path.name for path in ValueStore(undisturbed).folder.iterdir()}
