"""What a person sees in the terminal while a run goes on: one line per thing done."""

from __future__ import annotations

import logging
import sys
import time

import dagster as dg

# What the libraries say to the same log; their own lines are in Dagster's pages.
_NOISE = ("A dbt subsetted", "Copying `", "Running dbt command", "Finished dbt command", "Dependencies for step")


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self._started = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", {}) or {}
        event = meta.get("dagster_event")
        text = str(meta.get("orig_message") or record.getMessage())
        if event is not None:
            if event.event_type_value != "STEP_FAILURE":
                return
            text = _failure(event)
        if text.startswith(_NOISE):
            return
        sys.stderr.write(f"{time.monotonic() - self._started:7.1f} s  {text}\n")
        sys.stderr.flush()


def _failure(event: dg.DagsterEvent) -> str:
    error = event.step_failure_data.error
    while error and error.cause:
        error = error.cause
    text = error.message.strip() if error else str(event.message)
    # Dagster's own failure carries a sentence for people; the name of its class is none of it.
    if error and error.cls_name == dg.Failure.__name__:
        text = text.partition(": ")[2]
    return f"FAILED {event.step_key}: {text}"


def _terminal(_: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.getLogger("watershed.terminal")
    logger.setLevel(logging.INFO)
    logger.handlers = [_Lines()]
    logger.propagate = False
    return logger


terminal_logger = dg.LoggerDefinition(
    _terminal, description="One line per message, for runs that the watershed command starts."
)
