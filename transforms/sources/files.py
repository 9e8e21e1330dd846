"""Sources that are folders of files, growing."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from transforms.contracts import FileServer, SourceContract
from transforms.settings import Settings
from transforms.sources.delivery import Delivery, UnreadableError

CHUNK = 1 << 20


def location(server: FileServer, settings: Settings) -> str:
    """Absolute glob of a source's files."""
    path = Path(server.path).expanduser()
    return str(path if path.is_absolute() else settings.incoming / path)


def deliveries(server: FileServer, settings: Settings) -> list[Delivery]:
    """Files of a source, oldest name first; empty where the folder is missing.

    Hidden files and files that end in ``.tmp`` or ``.part`` are still being written by somebody and left alone.
    """
    pattern = location(server, settings)
    base = _fixed_part(pattern)
    return sorted(_matches(pattern, base), key=lambda delivery: delivery.name)


def _fixed_part(pattern: str) -> Path:
    parts = Path(pattern).parts
    fixed = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:fixed])


def _matches(pattern: str, base: Path) -> Iterator[Delivery]:
    inside = base.resolve()
    for match in glob.iglob(pattern, recursive=True):
        path = Path(match)
        # A link that leads out of the source's own folder could bring in anything that this process may read.
        if path.name.startswith(".") or path.suffix in {".tmp", ".part"} or not path.resolve().is_relative_to(inside):
            continue
        if path.is_file():
            status = path.stat()
            # A name that is not UTF-8 could be written nowhere.
            name = os.fsencode(path.relative_to(base)).decode("utf-8", "backslashreplace")
            yield Delivery(name, f"{status.st_size}-{status.st_mtime_ns}", partial(_copy, path))


def _copy(path: Path, target: BinaryIO) -> None:
    try:
        source = path.open("rb")
    except OSError as error:
        raise UnreadableError(f"unreadable: {error.strerror}; mend its permissions or deliver it again") from error
    with source:
        while chunk := source.read(CHUNK):
            target.write(chunk)


def listing_digest(contracts: Iterable[SourceContract], settings: Settings) -> str:
    """Hash of all files that the sources' folders hold now: it changes when a file comes or grows."""
    digest = hashlib.sha256()
    for contract in sorted(contracts, key=lambda contract: contract.name):
        if isinstance(contract.server, FileServer):
            for file in deliveries(contract.server, settings):
                digest.update(repr((contract.name, file.name, file.version)).encode())
    return digest.hexdigest()
