"""Columns that came, against columns that the contract knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from transforms.contracts import SourceContract
from transforms.lake.inspection import BrokenFileError
from transforms.sql import identifier, literal


def compare_columns(
    contract: SourceContract, found: Iterable[str], partitions: Iterable[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (new, absent) columns of a file; ``partitions`` of its path stand in for columns that are absent.

    Raises:
        BrokenFileError: a column without which the rows make no sense is missing; names the closest one found.
    """
    names = tuple(found)
    known = {*contract.physical_columns, *contract.ignore_columns}
    new = tuple(name for name in names if name not in known)
    absent = tuple(name for name in contract.physical_columns if name not in names)
    missing = [name for name in absent if name in contract.required_physical_columns.difference(partitions)]
    if missing:
        renamed = likely_renames(missing, new)
        parts = [f"'{name}'" + (f" (renamed to '{renamed[name]}'?)" if name in renamed else "") for name in missing]
        raise BrokenFileError(f"columns: required {', '.join(parts)} missing; found {', '.join(names)}")
    return new, absent


def likely_renames(absent: Iterable[str], new: Iterable[str]) -> dict[str, str]:
    """Absent columns with the new one whose name is close to theirs."""
    candidates = list(new)
    found = {name: difflib.get_close_matches(name, candidates, n=1) for name in absent}
    return {name: near[0] for name, near in found.items() if near}


def refuse_reserved(found: Iterable[str]) -> None:
    """Stop at a column that would hide one of the platform's own while the file is read.

    Raises:
        BrokenFileError: names the columns.
    """
    reserved = [name for name in found if name.lower().startswith("_ws_")]
    if reserved:
        raise BrokenFileError(f"columns: {', '.join(reserved)}: names that begin with _ws_ are the platform's own")


def extra_json(columns: Iterable[str]) -> str | None:
    """SQL for the unmapped columns of a row as one JSON object, None where there are none."""
    parts = ", ".join(f"{literal(name)}, {identifier(name)}" for name in columns)
    return f"CAST(json_object({parts}) AS VARCHAR)" if parts else None


# Type of a Parquet column in which a tool saw no value at all: it says nothing about those of other files.
UNTYPED = '"NULL"'
# From a type to those that hold less: what was a fraction, a time of day or a leading zero is lost at the provider.
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")


def is_narrower(before: str, now: str) -> bool:
    """Whether a column of type ``now`` holds less than one of type ``before`` did."""
    if before == now or UNTYPED in {before, now}:
        return False
    if before == "VARCHAR":
        return not now.startswith(("ENUM", "JSON", "UUID"))
    if before.startswith("DECIMAL"):
        if now.startswith("DECIMAL"):
            if "(" not in before:
                return False  # a contract that leaves the digits open
            digits, scale = _decimal(before)
            new_digits, new_scale = _decimal(now)
            return new_scale < scale or new_digits - new_scale < digits - scale
        return now in _INTEGERS or now == "FLOAT"
    if before in {"DOUBLE", "FLOAT"}:
        return now in _INTEGERS or (before == "DOUBLE" and now == "FLOAT")
    if before in _INTEGERS:
        if now in _INTEGERS:
            return _INTEGERS.index(now) < _INTEGERS.index(before)
        return now == "BOOLEAN" or (now == "FLOAT" and before in {"INTEGER", "BIGINT", "HUGEINT"})
    return before.startswith("TIMESTAMP") and now == "DATE"


def _decimal(kind: str) -> tuple[int, int]:
    digits, _, scale = kind.removeprefix("DECIMAL(").rstrip(")").partition(",")
    return int(digits), int(scale or 0)


def refuse_narrowed(contract: SourceContract, found: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Stop at a mapped column whose type holds less than it used to, or than the contract's physicalType says.

    Whole numbers that a tool wrote as fractions may become whole again where the platform keeps them as ids or
    counts.

    Raises:
        BrokenFileError: names column, both types and the way out.
    """
    counted = {
        column
        for mapping in contract.mappings
        if mapping.column.physical_type in {"VARCHAR", "BIGINT"}
        for column in mapping.source_columns
    }
    for column in contract.physical_columns:
        agreed = contract.physical_types.get(column) or before.get(column)
        now = found.get(column)
        if agreed is None or now is None or not is_narrower(agreed, now):
            continue
        if column in counted and agreed in {"DOUBLE", "FLOAT"} and now in _INTEGERS:
            continue
        remedy = f"have it sent as {agreed}, or write 'physicalType: {now}' into {contract.file.name}"
        raise BrokenFileError(f"columns: '{column}' narrowed from {agreed} to {now}; {remedy}")
