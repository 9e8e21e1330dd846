"""Who holds which lock, found out without taking one."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from transforms.locking import Holder, read_holder
from transforms.settings import Settings

# What the Linux kernel says of every lock: "1: FLOCK  ADVISORY  WRITE 4711 fe:00:2187860 0 EOF".
KERNEL_LOCKS = Path("/proc/locks")
_FLOCK = re.compile(r"^\d+: FLOCK\s+\S+\s+\S+\s+(\d+)\s+([0-9a-f]+):([0-9a-f]+):(\d+)\s", re.M)


@dataclass(frozen=True)
class LockState:
    """A lock file: what it guards, whether somebody holds it, and who wrote itself into it last.

    ``holder`` of a lock that is free was killed: it did not leave in order.
    """

    name: str
    path: Path
    is_held: bool
    holder: Holder | None


def lock_states(settings: Settings) -> list[LockState]:
    """The locks of an installation, those that were never taken left out."""
    published = settings.published
    files = {
        "run": settings.run_lock,
        "dbt parse": settings.home / "dbt" / "parse.lock",
        "publication": published.with_name(f".{published.name}.lock"),
    }
    return [_state(name, path) for name, path in files.items() if path.exists()]


def _state(name: str, path: Path) -> LockState:
    holder = read_holder(path)
    held = _held_by_kernel(path)
    if held is None:
        # Not Linux: who wrote itself in and still runs is as good as it gets.
        held = holder is not None and holder.is_alive
    return LockState(name, path, held, holder)


def _held_by_kernel(path: Path) -> bool | None:
    try:
        entries = _FLOCK.findall(KERNEL_LOCKS.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    status = path.stat()
    # Some file systems show another device than their files do; inode and a holder's name then have to do.
    return any(int(inode) == status.st_ino and _same_device(major, minor, status) for _, major, minor, inode in entries)


def _same_device(major: str, minor: str, status: os.stat_result) -> bool:
    device = (int(major, 16), int(minor, 16))
    return device == (os.major(status.st_dev), os.minor(status.st_dev)) or os.major(status.st_dev) == 0
