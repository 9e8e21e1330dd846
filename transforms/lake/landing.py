"""Landing: each file's bytes as received, kept once, addressed by their SHA-256."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from transforms.lake.inspection import CHUNK
from transforms.settings import Settings
from transforms.sources.files import SourceFile

LOG = "received.jsonl"
NAME_LENGTH = 50


class UnreadableFileError(OSError):
    """The provider's file cannot be opened; the message says why."""


@dataclass(frozen=True)
class LandedFile:
    """A file in the landing folder. ``received_at`` is when it first came (UTC)."""

    source: str
    name: str
    sha256: str
    size: int
    modified_ns: int
    received_at: dt.datetime
    path: Path


def land(
    settings: Settings,
    source: str,
    files: Iterable[SourceFile],
    clock: Callable[[], dt.datetime],
    unreadable: dict[str, str] | None = None,
) -> list[LandedFile]:
    """Copy new files into the landing folder and list every file ever received, in order of arrival.

    A file whose path, size and modification time are known is not read again. A kill between the copy and the log
    entry leaves a copy that the next run finds complete and logs. A file that cannot be opened is left to the next
    run; ``unreadable`` takes its name and the reason.
    """
    folder = settings.landing / source
    folder.mkdir(parents=True, exist_ok=True)
    received = received_files(settings, source)
    known = {(file.name, file.size, file.modified_ns) for file in received}
    for file in files:
        if (file.name, file.size, file.modified_ns) in known:
            continue
        try:
            digest, path = _copy(file, folder)
        except UnreadableFileError as error:
            if unreadable is not None:
                unreadable[file.name] = str(error)
            continue
        landed = LandedFile(source, file.name, digest, file.size, file.modified_ns, clock(), path)
        _append(folder / LOG, landed)
        received.append(landed)
    return received


def received_files(settings: Settings, source: str) -> list[LandedFile]:
    """Every file that the source has ever delivered, in order of arrival."""
    folder = settings.landing / source
    log = folder / LOG
    if not log.exists():
        return []
    files = []
    # Not splitlines(): a name may hold one of the line separators of Unicode.
    for line in log.read_text(encoding="utf-8").split("\n"):
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # the last write was cut short by a kill; the file is landed again
        files.append(
            LandedFile(
                source=source,
                name=entry["name"],
                sha256=entry["sha256"],
                size=entry["size"],
                modified_ns=entry["modified_ns"],
                received_at=dt.datetime.fromisoformat(entry["received_at"]),
                path=folder / entry["path"],
            )
        )
    return files


def _copy(file: SourceFile, folder: Path) -> tuple[str, Path]:
    digest = hashlib.sha256()
    temporary = folder / f".{os.getpid()}.tmp"
    try:
        opened = file.path.open("rb")
    except OSError as error:
        raise UnreadableFileError(f"unreadable: {error.strerror}; mend its permissions or deliver it again") from error
    with opened as source, temporary.open("wb") as target:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    # The end of the name is kept, for people and for the reader's choice by ending; whole names may be too long.
    name = PurePath(file.name).name[-NAME_LENGTH:]
    path = folder / f"{digest.hexdigest()[:16]}-{name}"
    temporary.chmod(0o444)
    temporary.replace(path)
    return digest.hexdigest(), path


def _append(log: Path, file: LandedFile) -> None:
    entry = {
        "name": file.name,
        "sha256": file.sha256,
        "size": file.size,
        "modified_ns": file.modified_ns,
        "received_at": file.received_at.isoformat(),
        "path": file.path.name,
    }
    with log.open("ab+") as stream:
        # A line that a kill cut short must not swallow this one.
        if stream.seek(0, os.SEEK_END) and stream.seek(-1, os.SEEK_END) and stream.read(1) != b"\n":
            stream.write(b"\n")
        stream.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
