"""Has the warehouse, as it stands, passed every check? The run writes it down, the publication asks.

A build that failed, was killed, was made in part or was touched by hand afterwards is never published, whoever asks.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from transforms.publishing.errors import PublicationError
from transforms.publishing.records import read_record, remove_record, write_record
from transforms.settings import Settings

# The parts of a build in their order; each stands on the one before.
PARTS = ("observe", "model", "value_marts")
_RECORD = "checked.json"
# DuckDB's main header and its two database headers: every checkpoint writes one of them, and the main header
# holds a random number of the file's own, so that they name one state of one file, copies of it included.
_HEADERS_BYTES = 3 * 4096


@dataclass(frozen=True)
class CheckedBuild:
    """A state of the warehouse whose ``parts`` were built by whole runs and passed all blocking checks."""

    run_id: str
    as_of_date: dt.date
    parts: tuple[str, ...]
    warehouse: str


def warehouse_state(warehouse: Path) -> str:
    """Name of the state that a database file is in; any committed change gives another one.

    Raises:
        PublicationError: there is no such file.
    """
    try:
        with warehouse.open("rb") as stream:
            digest = hashlib.sha256(stream.read(_HEADERS_BYTES))
    except FileNotFoundError:
        raise _no_warehouse(warehouse) from None
    # What a killed writer committed lies in its log until somebody opens the file for writing.
    log = warehouse.with_name(warehouse.name + ".wal")
    digest.update(str(log.stat().st_size if log.exists() else 0).encode())
    return digest.hexdigest()


def known_build(settings: Settings) -> CheckedBuild | None:
    """What is known of the warehouse as it stands: the parts of it that passed their checks."""
    record = read_record(settings, _RECORD)
    if record is None or not settings.warehouse.is_file():
        return None
    try:
        build = CheckedBuild(
            run_id=str(record["run_id"]),
            as_of_date=dt.date.fromisoformat(record["as_of_date"]),
            parts=tuple(record["parts"]),
            warehouse=str(record["warehouse"]),
        )
    except (KeyError, TypeError, ValueError):
        return None
    # Whatever was written since, by whomever, gave the file another state.
    return build if build.warehouse == warehouse_state(settings.warehouse) else None


def note_passed(
    settings: Settings, before: CheckedBuild | None, part: str, is_whole: bool, as_of: dt.date | None, run_id: str
) -> None:
    """Write down that ``part`` was built and passed its checks.

    ``before`` is what was known of the warehouse when the part began. A part that was not built as a whole, without a
    day, or on top of parts that were not checked for the same day is not written down: it cannot be published.
    """
    needed = PARTS[: PARTS.index(part)]
    known = before.parts if before and before.as_of_date == as_of else ()
    if is_whole and as_of is not None and set(needed) <= set(known):
        build = CheckedBuild(run_id, as_of, (*needed, part), warehouse_state(settings.warehouse))
        write_record(settings, _RECORD, asdict(build))


def note_failed(settings: Settings) -> None:
    """Forget what had passed: a check has failed since, be it on the very same tables."""
    remove_record(settings, _RECORD)


def checked_build(settings: Settings) -> CheckedBuild:
    """The build in the warehouse, if all of it passed its checks and nobody has changed it since.

    Raises:
        PublicationError: there is no such build; the message says what to do.
    """
    if not settings.warehouse.is_file():
        raise _no_warehouse(settings.warehouse)
    known = known_build(settings)
    if known is None:
        raise PublicationError(
            f"What {settings.warehouse} holds has not passed its checks: the last build failed, was interrupted, was"
            " made in part, or somebody changed it afterwards. Nothing is published; build it with `watershed run`."
        )
    if known.parts != PARTS:
        raise PublicationError(
            f"{settings.warehouse} is built up to '{known.parts[-1]}' only; finish it with `watershed run`."
        )
    return known


def _no_warehouse(warehouse: Path) -> PublicationError:
    return PublicationError(f"There is no warehouse at {warehouse}: run the daily job first.")
