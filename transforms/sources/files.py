"""Sources that are folders of files, growing."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from transforms.contracts import FileServer, SourceContract
from transforms.contracts.servers import ObjectServer
from transforms.settings import Settings
from transforms.sources import objects
from transforms.sources.delivery import Delivery, UnreadableError
from transforms.sources.patterns import depth, is_hidden_folder, matcher, split_pattern

CHUNK = 1 << 20
CHANGED = "changed while it was read; the next run takes it up"
# Formats of lines, where the beginning of a file that grows is whole without its end.
_OF_LINES = {"csv", "json"}
_COMPRESSED = {".gz", ".zst"}


def location(server: FileServer, settings: Settings) -> str:
    """Absolute glob of a source's files."""
    path = Path(server.path).expanduser()
    return str(path if path.is_absolute() else settings.incoming / path)


def deliveries(server: FileServer, settings: Settings) -> list[Delivery]:
    """Files of a source, oldest name first; empty where the folder is missing.

    Only regular files count: no pipes, sockets or devices, whose reading may never end. Links to folders are not
    followed, links to files only within the source's own folder.
    """
    base, pattern = split_pattern(Path(server.path).expanduser().as_posix())
    folder = settings.incoming / base
    found = []
    for path, name in _walk(folder, pattern):
        if name.endswith("/"):
            found.append(Delivery(name, "", partial(_report, "the folder may not be entered; mend its permissions")))
            continue
        try:
            status = path.stat()
            is_inside = path.resolve().is_relative_to(folder.resolve())
        except (OSError, RuntimeError):
            continue  # gone since it was listed, or a link to itself
        # A link that leads out of the source's own folder could bring in anything that this process may read.
        if not stat.S_ISREG(status.st_mode) or not is_inside:
            continue
        grows = server.format in _OF_LINES and path.suffix.lower() not in _COMPRESSED
        version = f"{status.st_size}-{status.st_mtime_ns}"
        found.append(Delivery(name, version, partial(_copy, path, status, grows), status.st_size))
    return sorted(found, key=lambda delivery: delivery.name)


def _walk(folder: Path, pattern: str) -> Iterator[tuple[Path, str]]:
    """Paths below a folder that the pattern stands for, each with its name relative to the folder.

    A folder that could not be looked into comes too, its name ending in a slash.
    """
    matches, levels = matcher(pattern), depth(pattern)
    named = set(pattern.split("/"))
    waiting = [(folder, "")]
    while waiting:
        parent, prefix = waiting.pop()
        try:
            with os.scandir(parent) as entries:
                listed = list(entries)
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                continue
            if not prefix:
                raise UnreadableError(f"{parent}: {error.strerror}; mend the folder or the contract's path") from error
            yield parent, prefix
            continue
        for entry in listed:
            # A name that is not UTF-8 could be written nowhere.
            name = prefix + os.fsencode(entry.name).decode("utf-8", "backslashreplace")
            if entry.is_dir(follow_symlinks=False):
                is_wanted = entry.name in named or not is_hidden_folder(entry.name)
                if is_wanted and (levels is None or name.count("/") + 1 < levels):
                    waiting.append((Path(entry.path), name + "/"))
            elif matches(name):
                yield Path(entry.path), name


def _report(reason: str, _: BinaryIO) -> None:
    raise UnreadableError(reason)


def _copy(path: Path, listed: os.stat_result, grows: bool, target: BinaryIO) -> None:
    """Copy what was listed.

    A file of lines that somebody appends to meanwhile is taken up to its last whole line as listed; the next run
    takes up the rest. Any other change makes the copy worthless.
    """
    try:
        # Not to wait for the other end, should a pipe have taken the file's place.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise UnreadableError(f"unreadable: {error.strerror}; mend its permissions or deliver it again") from error
    with os.fdopen(descriptor, "rb") as source:
        opened = os.fstat(descriptor)
        if not stat.S_ISREG(opened.st_mode) or opened.st_ino != listed.st_ino:
            raise UnreadableError(CHANGED)
        left, held = listed.st_size, b""
        for piece in _pieces(source, listed.st_size):
            target.write(held)
            held, left = piece, left - len(piece)
        now = os.fstat(descriptor)
    has_grown = grows and now.st_size > listed.st_size
    is_same = now.st_size == listed.st_size and now.st_mtime_ns == listed.st_mtime_ns
    if left or not (has_grown or is_same):
        raise UnreadableError(CHANGED)
    if has_grown:
        held = held[: held.rfind(b"\n") + 1] or held
    target.write(held)


def _pieces(source: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        try:
            piece = source.read(min(CHUNK, size))
        except OSError as error:
            raise UnreadableError(f"unreadable: {error.strerror}; deliver it again") from error
        if not piece:
            return
        size -= len(piece)
        yield piece


def listing_digest(contracts: Iterable[SourceContract], settings: Settings) -> str:
    """Hash of all that the sources' folders and object stores hold now: it changes when a file comes or grows.

    A place that cannot be reached counts as such: the run that its going and its coming back start reports it.
    """
    digest = hashlib.sha256()
    for contract in sorted(contracts, key=lambda contract: contract.name):
        server = contract.server
        if not isinstance(server, FileServer):
            continue
        try:
            listed = objects.deliveries(server, settings) if isinstance(server, ObjectServer) else None
            for file in listed if listed is not None else deliveries(server, settings):
                digest.update(repr((contract.name, file.name, file.version)).encode("utf-8", "backslashreplace"))
        except UnreadableError:
            digest.update(repr((contract.name, "unreachable")).encode())
    return digest.hexdigest()
