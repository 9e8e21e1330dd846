"""Landing: each file's bytes as received, kept once, addressed by their SHA-256."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Protocol

from transforms.durability import append_lines, read_lines, sync
from transforms.lake.coming_file import ComingFile
from transforms.lake.hashed_file import CACHED, HashedFile
from transforms.lake.inspection import TextCount
from transforms.settings import Settings
from transforms.sources.delivery import Delivery, NothingNew, State, UnreadableError

LOG = "received.jsonl"
NAME_LENGTH = 50
# A file that has its name and may not be on the disk yet.
_MARKER = re.compile(r"(?s)\.\d+\.tmp\.([0-9a-f]{16}-.*)")
# What is smaller is on the disk at once.
_WORTH_READING_AHEAD = 4 << 20
# What is smaller lies in the page cache when it has come, and is read from there at fewer CPU seconds.
_WORTH_FOLLOWING = CACHED


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


class Reader(Protocol):
    """Reads a file before it is logged; see ``FileReader``."""

    def follow(self, file: LandedFile, size: int, count: TextCount) -> ComingFile | None: ...

    def read_ahead(self, file: LandedFile, counted: TextCount, coming: ComingFile | None) -> None: ...


# Asked when a file comes alone; None where others have to be read before it.
Watch = Callable[[memoryview], None]
LookAhead = Callable[[], Reader | None]


def land(
    settings: Settings,
    source: str,
    deliveries: Iterable[Delivery],
    clock: Callable[[], dt.datetime],
    unreadable: dict[str, str] | None = None,
    look_ahead: LookAhead | None = None,
) -> list[LandedFile]:
    """Fetch what is new into the landing folder and list every file ever received, in order of arrival.

    A delivery whose version is the one that its name had last is not fetched again. A kill between the copy and the
    log entry leaves a copy that the next run finds complete and logs; the state of a pull is in the same log entry as
    its bytes, so that neither is ever without the other. What cannot be fetched is left to the next run;
    ``unreadable`` takes its name and the reason.

    ``look_ahead`` gives a reader for a large file that comes alone. It follows one of known size while it comes, and is
    shown any as soon as all of its bytes are there, while they are still brought to the disk, with what they tell as a
    text. Nothing changes those bytes any more.
    """
    folder = settings.landing / source
    folder.mkdir(parents=True, exist_ok=True)
    received = received_files(settings, source)
    # The last one only: a file that is put back to an earlier state is news.
    known = {file.name: file.version for file in received}
    news = [delivery for delivery in deliveries if known.get(delivery.name) != delivery.version]
    for delivery in news:
        try:
            is_worth = len(news) == 1 and (delivery.size is None or delivery.size >= _WORTH_READING_AHEAD)
            reader = look_ahead() if look_ahead and is_worth else None
            landed = _fetch(delivery, source, folder, clock, reader)
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
    reader: Reader | None,
) -> LandedFile:
    temporary = folder / f".{os.getpid()}.tmp"
    # A process of the same number may have been killed when its copy was already closed to writing.
    temporary.unlink(missing_ok=True)
    try:
        with temporary.open("wb", buffering=0) as target, ExitStack() as following, ThreadPoolExecutor(2) as pool:
            count = TextCount()
            watch = count.add if reader else None
            # What was listed was all there when it began to come; else there may be records younger than that.
            received_at = clock() if delivery.size is not None else None
            coming = None
            if reader and received_at and (delivery.size or 0) >= _WORTH_FOLLOWING:
                begun = LandedFile(source, delivery.name, "", delivery.version, received_at, temporary)
                coming = reader.follow(begun, delivery.size or 0, count)
            if coming:
                following.callback(coming.close)
                watch = _both(count.add, coming.add)
            stream = HashedFile(target.fileno(), pool, watch, delivery.size)
            state = delivery.write(stream)  # type: ignore[arg-type]
            digest = stream.complete()
            temporary.chmod(0o444)
            path = folder / f"{digest[:16]}-{_short(delivery.name)}"
            file = LandedFile(source, delivery.name, digest, delivery.version, received_at or clock(), path, state)
            if reader and stream.size >= _WORTH_READING_AHEAD:
                logged = _name_and_log(file, temporary, target.fileno(), pool)
                reader.read_ahead(file, count, coming)
                return logged.result()
            os.fsync(target.fileno())
            temporary.replace(path)
            _log(file)
            return file
    except (NothingNew, UnreadableError):
        temporary.unlink(missing_ok=True)
        raise


def _both(first: Watch, second: Watch) -> Watch:
    def watch(part: memoryview) -> None:
        first(part)
        second(part)

    return watch


def _name_and_log(file: LandedFile, temporary: Path, descriptor: int, pool: Executor) -> Future[LandedFile]:
    """Give a file its name at once, and log it when the disk has it, whatever its reader does meanwhile."""
    marker = temporary.with_name(f"{temporary.name}.{file.path.name}")
    marker.touch()
    if file.path.exists():
        # What may be logged already makes way only for bytes that the disk holds.
        os.fsync(descriptor)
    temporary.replace(file.path)

    def log() -> LandedFile:
        os.fsync(descriptor)
        _log(file)
        marker.unlink()
        return file

    return pool.submit(log)


def unfinished(folder: Path, marker: str) -> Path | None:
    """The file that a marker of ``_name_and_log`` is about, in a source's landing folder; None where it is logged."""
    match = _MARKER.fullmatch(marker)
    logged = {entry["path"] for entry in read_lines(folder / LOG)}
    return folder / match[1] if match and match[1] not in logged else None


def _log(file: LandedFile) -> None:
    # The log must never speak of bytes that a power cut has taken away.
    sync(file.path.parent)
    append_lines(file.path.parent / LOG, [_entry(file)])


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
