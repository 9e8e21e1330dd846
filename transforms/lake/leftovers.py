"""What loads that were killed have left behind: unfinished batches, generations, spill files, half-fetched deliveries.

Everything unfinished carries the number of its process in its name and lies in ``<home>/tmp``, or begins with a dot in
the landing folder. Whoever writes the lake holds the run lock, so that a process of this machine that does not run is
one that will not come back for its files.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

from transforms.lake.landing import unfinished
from transforms.settings import Settings

_UNFINISHED = re.compile(r"(?:batch|empty|former|gated|generation|head|link|salvage|spill|workbook)-(\d+)[-.].*")
_HALF_FETCHED = re.compile(r"(?s)\.(\d+)\.tmp(\..*)?")
_STARTED = time.time()


def remove_leftovers(settings: Settings, source: str) -> list[str]:
    """Remove what processes that run no more have left in the scratch folder and the source's landing folder.

    Returns the names of what was removed.
    """
    found = find_leftovers(settings, source)
    for path in found:
        _remove(path)
    return [path.name for path in found]


def find_leftovers(settings: Settings, source: str) -> list[Path]:
    """What ``remove_leftovers`` would remove."""
    found = []
    for folder, pattern in ((settings.scratch, _UNFINISHED), (settings.landing / source, _HALF_FETCHED)):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            match = pattern.fullmatch(path.name)
            if match and _is_abandoned(path, int(match[1])):
                # Without its entry in the log nobody would ever ask for it, nor erase it. Before its marker is gone.
                landed = unfinished(folder, path.name)
                found += [landed] if landed and landed.exists() else []
                found.append(path)
    return found


def _is_abandoned(path: Path, process: int) -> bool:
    if process == os.getpid():
        # In a container every run may have the same number.
        try:
            return path.lstat().st_ctime < _STARTED
        except FileNotFoundError:
            return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        # Another load may be at the same work.
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
