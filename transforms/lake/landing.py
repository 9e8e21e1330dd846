"""Landing: each file's bytes as received, kept once, addressed by their SHA-256."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from transforms.durability import append_lines, read_lines, sync
from transforms.lake.hashed_file import HashedFile
from transforms.settings import Settings
from transforms.sources.delivery import Delivery, NothingNew, State, UnreadableError

LOG = "received.jsonl"
NAME_LENGTH = 50
# What is smaller is on the disk at once.
_WORTH_READING_AHEAD = 4 << 20


@dataclass(frozen=True)
class LandedFile:
    """A file in the landing folder.

    ``received_at`` is when it first came (UTC), ``version`` what the provider's copy looked like then, ``state`` from
    where the next pull goes on.
    """

    source: str
    name: str
    sha256: str
    version: str
    received_at: dt.datetime
    path: Path
    state: State | None = None


def land(
    settings: Settings,
    source: str,
    deliveries: Iterable[Delivery],
    clock: Callable[[], dt.datetime],
    unreadable: dict[str, str] | None = None,
    look_ahead: Callable[[LandedFile], None] | None = None,
) -> list[LandedFile]:
    """Fetch what is new into the landing folder and list every file ever received, in order of arrival.

    A delivery whose version is the one that its name had last is not fetched again. A kill between the copy and the
    log entry leaves a copy that the next run finds complete and logs; the state of a pull is in the same log entry as
    its bytes, so that neither is ever without the other. What cannot be fetched is left to the next run;
    ``unreadable`` takes its name and the reason.

    ``look_ahead`` is shown a large file that comes alone as soon as all of its bytes are there, while they are still
    brought to the disk. Nothing changes those bytes any more.
    """
    folder = settings.landing / source
    folder.mkdir(parents=True, exist_ok=True)
    received = received_files(settings, source)
    # The last one only: a file that is put back to an earlier state is news.
    known = {file.name: file.version for file in received}
    news = [delivery for delivery in deliveries if known.get(delivery.name) != delivery.version]
    for delivery in news:
        try:
            landed = _fetch(delivery, source, folder, clock, look_ahead if len(news) == 1 else None)
        except NothingNew:
            continue
        except UnreadableError as error:
            if unreadable is not None:
                unreadable[delivery.name] = str(error)
            continue
        received.append(landed)
    return received


def last_state(received: Iterable[LandedFile]) -> State | None:
    """State of the latest pull that left one."""
    return next((file.state for file in reversed(list(received)) if file.state is not None), None)


def received_files(settings: Settings, source: str) -> list[LandedFile]:
    """Every file that the source has ever delivered, in order of arrival."""
    folder = settings.landing / source
    return [
        LandedFile(
            source=source,
            name=entry["name"],
            sha256=entry["sha256"],
            version=entry["version"],
            received_at=dt.datetime.fromisoformat(entry["received_at"]),
            path=folder / entry["path"],
            state=entry.get("state"),
        )
        for entry in read_lines(folder / LOG)
    ]


def _fetch(
    delivery: Delivery,
    source: str,
    folder: Path,
    clock: Callable[[], dt.datetime],
    look_ahead: Callable[[LandedFile], None] | None,
) -> LandedFile:
    temporary = folder / f".{os.getpid()}.tmp"
    # A process of the same number may have been killed when its copy was already closed to writing.
    temporary.unlink(missing_ok=True)
    try:
        with temporary.open("wb", buffering=0) as target, ThreadPoolExecutor(2) as pool:
            stream = HashedFile(target.fileno(), pool)
            state = delivery.write(stream)  # type: ignore[arg-type]
            digest = stream.complete()
            temporary.chmod(0o444)
            path = folder / f"{digest[:16]}-{_short(delivery.name)}"
            file = LandedFile(source, delivery.name, digest, delivery.version, clock(), path, state)
            if path.exists():
                # What may be logged already makes way only for bytes that the disk holds.
                os.fsync(target.fileno())
            temporary.replace(path)
            if not look_ahead or stream.size < _WORTH_READING_AHEAD:
                return _log(file, target.fileno())
            # The file is logged when it can be, not when its reader ends.
            logged = pool.submit(_log, file, target.fileno())
            look_ahead(file)
            return logged.result()
    except (NothingNew, UnreadableError):
        temporary.unlink(missing_ok=True)
        raise


def _log(file: LandedFile, descriptor: int) -> LandedFile:
    """Log a file when the disk has it: the log must never speak of bytes that a power cut has taken away."""
    os.fsync(descriptor)
    sync(file.path.parent)
    append_lines(file.path.parent / LOG, [_entry(file)])
    return file


def _short(name: str) -> str:
    # The end of the name is kept, for people and for the reader's choice by ending; whole names may be too long.
    return PurePath(name).name[-NAME_LENGTH:]


def _entry(file: LandedFile) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": file.name,
        "sha256": file.sha256,
        "version": file.version,
        "received_at": file.received_at.isoformat(),
        "path": file.path.name,
    }
    return entry if file.state is None else {**entry, "state": dict(file.state)}
