"""Sources that are folders of files, growing."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from transforms.contracts import SourceContract
from transforms.settings import Settings


@dataclass(frozen=True)
class SourceFile:
    """A file as the provider left it; ``name`` is its path relative to the fixed part of the contract's path."""

    path: Path
    name: str
    size: int
    modified_ns: int


def location(contract: SourceContract, settings: Settings) -> str:
    """Absolute glob of a source's files."""
    path = Path(contract.server.path).expanduser()
    return str(path if path.is_absolute() else settings.incoming / path)


def discover(contract: SourceContract, settings: Settings) -> list[SourceFile]:
    """Files of a source, oldest name first; empty where the folder is missing.

    Hidden files and files that end in ``.tmp`` or ``.part`` are still being written by somebody and left alone.
    """
    pattern = location(contract, settings)
    base = _fixed_part(pattern)
    return sorted(_matches(pattern, base), key=lambda file: file.name)


def _fixed_part(pattern: str) -> Path:
    parts = Path(pattern).parts
    fixed = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:fixed])


def _matches(pattern: str, base: Path) -> Iterator[SourceFile]:
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
            yield SourceFile(path, name, status.st_size, status.st_mtime_ns)


def listing_digest(contracts: Iterable[SourceContract], settings: Settings) -> str:
    """Hash of all files that the sources hold now: it changes when a file comes or grows."""
    digest = hashlib.sha256()
    for contract in sorted(contracts, key=lambda contract: contract.name):
        for file in discover(contract, settings):
            digest.update(repr((contract.name, file.name, file.size, file.modified_ns)).encode())
    return digest.hexdigest()
