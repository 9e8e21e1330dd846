"""Columns that came, against columns that the contract knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from transforms.contracts import SourceContract
from transforms.lake.inspection import BrokenFileError


def compare_columns(contract: SourceContract, found: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (new, absent) columns of a file.

    Raises:
        BrokenFileError: a column without which the rows make no sense is missing; names the closest one found.
    """
    names = tuple(found)
    known = {*contract.physical_columns, *contract.ignore_columns}
    new = tuple(name for name in names if name not in known)
    absent = tuple(name for name in contract.physical_columns if name not in names)
    missing = [name for name in absent if name in contract.required_physical_columns]
    if missing:
        parts = []
        for name in missing:
            near = difflib.get_close_matches(name, new, n=1)
            parts.append(f"'{name}'" + (f" (renamed to '{near[0]}'?)" if near else ""))
        raise BrokenFileError(f"columns: required {', '.join(parts)} missing; found {', '.join(names)}")
    return new, absent


def refuse_reserved(found: Iterable[str]) -> None:
    """Stop at a column that would hide one of the platform's own while the file is read.

    Raises:
        BrokenFileError: names the columns.
    """
    reserved = [name for name in found if name.lower().startswith("_ws_")]
    if reserved:
        raise BrokenFileError(f"columns: {', '.join(reserved)}: names that begin with _ws_ are the platform's own")


def extra_json(columns: Iterable[str]) -> str:
    """SQL for the unmapped columns of a row as one JSON object, NULL where there are none."""
    from transforms.sql import identifier, literal

    parts = ", ".join(f"{literal(name)}, {identifier(name)}" for name in columns)
    return f"CAST(json_object({parts}) AS VARCHAR)" if parts else "CAST(NULL AS VARCHAR)"
