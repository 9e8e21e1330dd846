"""Landing: each file's bytes as received, kept once, addressed by their SHA-256."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any, BinaryIO

from transforms.durability import append_lines, read_lines, sync
from transforms.settings import Settings
from transforms.sources.delivery import Delivery, NothingNew, State, UnreadableError

LOG = "received.jsonl"
NAME_LENGTH = 50
# Hashing less than this costs less than handing it over.
_WORTH_A_THREAD = 4 << 20
# Small enough to be in the processor's cache when it is hashed.
_HASHED_AT_ONCE = 1 << 18


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
    hashed and brought to the disk: under a passing path, without its SHA-256. Nothing changes those bytes any more.
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


class _Hashing(io.RawIOBase):
    """A stream into a file that is hashed behind its writer, so that neither waits for the other, nor for the disk."""

    def __init__(self, target: BinaryIO, written: BinaryIO, hasher: ThreadPoolExecutor):
        super().__init__()
        self._target, self._written, self._hasher = target, written, hasher
        self._sha256 = hashlib.sha256()
        self._size = self._handed = self._hashed = 0
        self._buffer = memoryview(bytearray(_HASHED_AT_ONCE))

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._target.write(data)
        self._size += len(data)
        if self._size - self._handed >= _WORTH_A_THREAD:
            self._target.flush()
            self._hasher.submit(self._hash, self._size)
            self._handed = self._size
        return len(data)

    @property
    def is_large(self) -> bool:
        """Whether some of it is hashed in the other thread."""
        return self._handed > 0

    def finish(self, seal: Callable[[str], LandedFile], meanwhile: Callable[[], None] | None) -> LandedFile:
        """Bring all to the disk and ``seal`` it under its SHA-256 in hexadecimal digits.

        Where there is much left to do, ``meanwhile`` is called; the file is sealed when it can be, not when that ends.

        Raises:
            OSError: the disk is full or damaged.
        """
        self._target.flush()
        if self.is_large and meanwhile:
            sealed = self._hasher.submit(self._finish, seal)
            meanwhile()
            return sealed.result()
        rest = self._hasher.submit(self._hash, self._size) if self.is_large else None
        os.fsync(self._target.fileno())
        # A part that could not be read is tried again here.
        rest.result() if rest else self._hash(self._size)
        return seal(self._sha256.hexdigest())

    def _finish(self, seal: Callable[[str], LandedFile]) -> LandedFile:
        self._hash(self._size)
        os.fsync(self._target.fileno())
        return seal(self._sha256.hexdigest())

    def _hash(self, size: int) -> None:
        while self._hashed < size:
            read = self._written.readinto(self._buffer[: size - self._hashed])  # type: ignore[attr-defined]
            if not read:
                raise OSError(f"{self._hashed:,} of {size:,} bytes that were written are there")
            self._sha256.update(self._buffer[:read])
            self._hashed += read


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
    ahead = None
    try:
        with (
            temporary.open("wb") as target,
            temporary.open("rb", buffering=0) as written,
            ThreadPoolExecutor(1) as hasher,
        ):
            hashing = _Hashing(target, written, hasher)
            state = delivery.write(hashing)  # type: ignore[arg-type]
            temporary.chmod(0o444)
            file = LandedFile(source, delivery.name, "", delivery.version, clock(), temporary, state)
            ahead = _second_name(file) if look_ahead and hashing.is_large else None
            meanwhile = partial(look_ahead, replace(file, path=ahead)) if look_ahead and ahead else None
            return hashing.finish(partial(_seal, file), meanwhile)
    except (NothingNew, UnreadableError):
        temporary.unlink(missing_ok=True)
        raise
    finally:
        if ahead:
            ahead.unlink(missing_ok=True)


def _second_name(file: LandedFile) -> Path | None:
    """Another name of a file's bytes, under which they stay when it gets its own; None where there are no links."""
    second = file.path.with_name(f"{file.path.name}.ahead{PurePath(_short(file.name)).suffix}")
    second.unlink(missing_ok=True)
    try:
        os.link(file.path, second)
    except OSError:
        return None
    return second


def _seal(file: LandedFile, digest: str) -> LandedFile:
    """Give a file its own name and log it."""
    folder = file.path.parent
    landed = replace(file, sha256=digest, path=folder / f"{digest[:16]}-{_short(file.name)}")
    file.path.replace(landed.path)
    # The log must never speak of bytes that a power cut has taken away.
    sync(folder)
    append_lines(folder / LOG, [_entry(landed)])
    return landed


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
