"""Is there room, memory, a sane clock, and a file system whose locks work?"""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from transforms.contracts import Contracts
from transforms.lake.landing import received_files
from transforms.operations.findings import Finding, fault, ok, warning
from transforms.operations.standing import source_standings
from transforms.settings import Settings

# File systems over a network: locks and renames are promises of another machine.
_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs", "fuse.s3fs"}
MOUNTS = Path("/proc/mounts")
_SMALLEST = 500_000_000
_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def machine(settings: Settings, contracts: Contracts | None, now: dt.datetime) -> Iterator[Finding]:
    """Disk, memory, locks and clock; ``now`` is an aware moment."""
    yield _disk(settings)
    yield _memory(settings)
    yield _locks(settings)
    yield from _clock(settings, contracts, now)


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(_existing(settings.home)).free
    lake = folder_size(settings.lake)
    built = sum(file.stat().st_size for file in (settings.warehouse, settings.published) if file.exists())
    text = f"{_size(free)} free, lake {_size(lake)}, warehouse and published file {_size(built)}"
    # A publication stands beside the old one; a contract that changes is gated anew beside the old batches.
    if free < built + _SMALLEST:
        return fault("disk", f"{text}: the next run may not end", "free space, see docs/operations.md, Disk full")
    if free < lake + built + _SMALLEST:
        return warning("disk", f"{text}: too little to gate all sources anew", "free space before a contract changes")
    return ok("disk", text)


def folder_size(folder: Path) -> int:
    """Bytes of all files below a folder; what has several names through hard links counts once."""
    seen: dict[tuple[int, int], int] = {}
    for parent, _, files in os.walk(folder):
        for name in files:
            try:
                status = (Path(parent) / name).lstat()
            except FileNotFoundError:
                continue
            seen[status.st_dev, status.st_ino] = status.st_size
    return sum(seen.values())


def _memory(settings: Settings) -> Finding:
    found = re.fullmatch(r"\s*([\d.]+)\s*([kmgt]?i?)b?\s*", settings.memory_limit, re.I)
    if not found:
        return warning("memory", f"WATERSHED_MEMORY_LIMIT={settings.memory_limit} is no size", "set it like 4GB")
    limit = float(found[1]) * _UNITS[found[2].lower()]
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    text = f"DuckDB may use {_size(limit)} of {_size(physical)}"
    if limit > 0.8 * physical:
        return warning("memory", text, "lower WATERSHED_MEMORY_LIMIT: Python and the system need a fifth or more")
    return ok("memory", text)


def _locks(settings: Settings) -> Finding:
    folder = _existing(settings.home)
    kind = _file_system(folder)
    if kind in _REMOTE:
        remedy = "keep WATERSHED_HOME on a disk of this machine, and run on one machine only"
        return warning("locks", f"{folder} lies on {kind}: locks may not hold between machines", remedy)
    if not os.access(folder, os.W_OK):
        return warning("locks", f"not tried: {folder} cannot be written", "see permissions")
    if not _lock_excludes(folder):
        return fault("locks", f"flock does not work on {folder} ({kind})", "move WATERSHED_HOME to another file system")
    return ok("locks", f"flock works on {kind}")


def _lock_excludes(folder: Path) -> bool:
    path = folder / f".lock-trial-{os.getpid()}"
    try:
        with path.open("w") as first, path.open("w") as second:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False
    except OSError:
        return False
    finally:
        path.unlink(missing_ok=True)


def _file_system(folder: Path) -> str:
    """Type of the file system that a folder lies on, from the longest mount point above it."""
    try:
        mounts = [line.split()[1:3] for line in MOUNTS.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "an unknown file system"
    real = folder.resolve()
    above = [(point, kind) for point, kind in mounts if real.is_relative_to(point.replace("\\040", " "))]
    return max(above, key=lambda mount: len(mount[0]))[1] if above else "an unknown file system"


def _clock(settings: Settings, contracts: Contracts | None, now: dt.datetime) -> Iterator[Finding]:
    sources = contracts.sources if contracts else {}
    received = [file.received_at for source in sources for file in received_files(settings, source)]
    newest = max(received, default=None)
    if newest and newest > now:
        text = f"the clock says {now:%Y-%m-%d %H:%M} UTC, but files were received at {newest:%Y-%m-%d %H:%M}"
        yield fault("clock", text, "set the clock (NTP): freshness and the last complete day are counted from it")
    else:
        yield ok("clock", f"{now:%Y-%m-%d %H:%M} UTC, days are cut in {settings.business_timezone}")
    for source in source_standings(settings, contracts, now) if contracts else ():
        if source.newest_record and source.newest_record.replace(tzinfo=dt.UTC) > now:
            text = (
                f"the newest record of {source.source} is of {source.newest_record:%Y-%m-%d %H:%M} UTC, in the future"
            )
            yield warning("clock", text, "check the time zone of its contract, and this machine's clock")


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _size(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"
