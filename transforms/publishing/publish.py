"""The publication: readers see the old file or the new one, never a mixture, never a failed build."""

from __future__ import annotations

import datetime as dt
import glob
import logging
import re
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from transforms.durability import sync
from transforms.locking import exclusive
from transforms.publishing.build import build
from transforms.publishing.checked import CheckedBuild
from transforms.publishing.errors import PublicationError
from transforms.publishing.holding import Confirmation, check_named, forget_held, log_confirmation
from transforms.publishing.plan import PublicationPlan
from transforms.publishing.previous import remember
from transforms.settings import Settings

_log = logging.getLogger(__name__)

# What DuckDB keeps beside a database: the write-ahead log, and its two stand-ins around a checkpoint.
_WAL_SUFFIXES = (".wal", ".wal.checkpoint", ".wal.recovery")


@dataclass(frozen=True)
class PublicationReport:
    """One publication: rows by table, declared columns withheld and table columns not declared by table."""

    path: Path
    run_id: str
    as_of_date: dt.date
    fingerprint: str
    tables: dict[str, int]
    withheld: dict[str, tuple[str, ...]]
    undeclared: dict[str, tuple[str, ...]]
    size_bytes: int
    seconds: float
    warnings: tuple[str, ...]


def publish(
    settings: Settings,
    plan: PublicationPlan,
    checked: CheckedBuild,
    watershed_version: str,
    progress: Callable[[str], None] | None = None,
    confirmation: Confirmation | None = None,
) -> PublicationReport:
    """Copy the planned columns of the warehouse's marts into the readers' file and put it in place.

    The new file is built and read back beside the old one, then takes its name in one step: who has
    the old file open keeps it, who opens afterwards gets the new one. A second publisher waits up to
    ``settings.lock_timeout_seconds``. ``progress`` is told in words what happens. A build that jumps beyond the
    settings' bounds is held until the ``confirmation`` of a person names it; that holds for this build alone.

    Raises PublicationError, with the old file untouched, when the warehouse is missing, still being written or
    changed since it was checked, a table or column is missing, a column's type is not for BI clients, there are no
    customers, the disk is full, or the file read back differs from the marts; PublicationHeld when it jumps too far;
    LockedError when the other publisher is not done in time.
    """
    tell = progress or (lambda message: None)
    target = settings.published
    started = time.monotonic()
    # Whoever can write to the folder can replace the file: readers can't, whatever the umask.
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    lock = target.with_name(f".{target.name}.lock")
    # Whoever can open the lock file can hold it, and readers have no business with it.
    lock.touch(mode=0o600)
    with exclusive(lock, f"publication of run {checked.run_id}", settings.lock_timeout_seconds, tell):
        _remove_leftovers(target)
        # The run's id tells an operator whose file this is; the lock makes it the only one.
        temporary = target.with_name(f".{target.name}.{re.sub(r'[^A-Za-z0-9-]', '_', checked.run_id)[:60]}.tmp")
        confirmed = (confirmation, check_named(settings, confirmation)) if confirmation else None
        try:
            # Before the guard reads the old file: it would replay a foreign log, as every reader does.
            warnings = [*_open_folder(target), *_set_aside_foreign_wal(target)]
            built = build(settings, plan, temporary, checked, watershed_version, tell, confirmed)
            _seal(temporary)
            size = temporary.stat().st_size
            if confirmed:
                log_confirmation(settings, confirmed[1], confirmed[0])
            warnings += _set_aside_foreign_wal(target)
            temporary.replace(target)
        except (duckdb.Error, OSError) as error:
            raise PublicationError(f"{target} is not replaced: {error}") from error
        finally:
            _remove_leftovers(target)
        # A client that had the old file open for writing may have begun a log until that very moment.
        warnings += _set_aside_foreign_wal(target)
        sync(target.parent)
        remember(settings, built.figures, built.compared_with)
        forget_held(settings)
    for warning in warnings:
        _log.warning(warning)
    tell(f"published {target}")
    return PublicationReport(
        path=target,
        run_id=checked.run_id,
        as_of_date=checked.as_of_date,
        fingerprint=built.fingerprint,
        tables=built.figures.rows,
        withheld={table.name: table.withheld for table in plan.tables if table.withheld},
        undeclared=built.undeclared,
        size_bytes=size,
        seconds=time.monotonic() - started,
        warnings=tuple(warnings),
    )


def _remove_leftovers(target: Path) -> None:
    """Remove the temporary files of this publication, or of one that was killed; under the lock only."""
    for leftover in target.parent.glob(glob.escape(f".{target.name}.") + "*.tmp*"):
        leftover.unlink(missing_ok=True)


def _seal(temporary: Path) -> None:
    """Make the finished file read-only and durable; a log beside it would mean that it isn't finished."""
    for suffix in _WAL_SUFFIXES:
        if temporary.with_name(temporary.name + suffix).exists():
            raise PublicationError(f"{temporary.name}{suffix} is left after the checkpoint: publish again.")
    temporary.chmod(0o444)
    sync(temporary)


def _set_aside_foreign_wal(target: Path) -> list[str]:
    """Move away write-ahead logs beside ``target`` and return a warning for each.

    The published file never has one of its own. One that a client left would be replayed into the
    new file by every reader: they fail, or show its rows (measured with older storage versions).
    """
    warnings: list[str] = []
    for suffix in _WAL_SUFFIXES:
        foreign = target.with_name(target.name + suffix)
        if not foreign.exists():
            continue
        moment = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S%f")
        aside = foreign.with_name(f"{foreign.name}.foreign-{moment}")
        foreign.rename(aside)
        warnings.append(
            f"A client wrote to {target.name}; its log was moved to {aside} and never reaches readers."
            " Let clients open the file read-only."
        )
    return warnings


def _open_folder(target: Path) -> list[str]:
    if target.parent.stat().st_mode & stat.S_IWOTH:
        return [f"Every user may write to {target.parent} and so replace {target.name}: chmod o-w it."]
    return []
