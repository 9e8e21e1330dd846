"""What is worth another try within a run: whatever passes by itself. A broken file or model fails at once."""

from __future__ import annotations

import dagster as dg

from transforms.lake.load import LoadReport
from transforms.settings import Settings
from transforms.sources.delivery import passes
from transforms.warehouse import is_locked

TRIES = 3


def ask_again(report: LoadReport, settings: Settings, tried: int) -> dg.RetryRequested | None:
    """The request for another try at a source that could not be reached, twice as long after each; None without need.

    A load that brought something in is not repeated: its checks must see what it brought, and the next run takes up
    the rest.
    """
    reasons = [reason for reason in report.unreadable.values() if passes(reason)]
    return None if not reasons or report.loaded else _later(settings, tried)


def wait_for_readers(error: Exception, settings: Settings, tried: int) -> dg.RetryRequested | None:
    """The request for another try where somebody has the warehouse file open; None for every other failure."""
    return _later(settings, tried) if is_locked(error) else None


def _later(settings: Settings, tried: int) -> dg.RetryRequested | None:
    if tried >= TRIES - 1 or not settings.retry_seconds:
        return None
    return dg.RetryRequested(max_retries=TRIES - 1, seconds_to_wait=settings.retry_seconds * 2**tried)
