"""What is written down about publications: small JSON records, and a log of confirmations that only grows."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transforms.durability import append_lines, sync
from transforms.settings import Settings

_CONFIRMATIONS = "confirmations.jsonl"


def write_record(settings: Settings, name: str, record: Mapping[str, Any]) -> None:
    """Replace a record; when this returns it is on the disk."""
    path = settings.publication_records / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(record, default=str, ensure_ascii=False, indent=1) + "\n")


def read_record(settings: Settings, name: str) -> dict[str, Any] | None:
    """A record, or None where there is none or it cannot be read."""
    try:
        found = json.loads((settings.publication_records / name).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def remove_record(settings: Settings, name: str) -> None:
    """Remove a record, if there is one; when this returns the disk has forgotten it."""
    path = settings.publication_records / name
    if path.exists():
        path.unlink()
        sync(path.parent)


def append_confirmation(settings: Settings, entry: Mapping[str, Any]) -> None:
    """Add a line to the log of confirmations; when this returns it is on the disk."""
    settings.publication_records.mkdir(parents=True, exist_ok=True)
    append_lines(settings.publication_records / _CONFIRMATIONS, [entry])


def write_whole(path: Path, text: str) -> None:
    """Give ``path`` a new content in one step: readers see the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)
