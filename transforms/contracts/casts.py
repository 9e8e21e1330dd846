"""Strict conversions as SQL: a value that does not fit becomes NULL, never something near it.

DuckDB's own casts are too kind for a gate: they round 60.7 to 61, read 1e3 as 1000, take 'infinity'
for a timestamp and drop a zone offset. Each function here returns an SQL expression that is NULL for
whatever the contract did not promise.
"""

from __future__ import annotations

import re

from transforms.contracts.model import Mapping
from transforms.contracts.time_formats import shape
from transforms.sql import literal

_INTEGERS = {
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
}
_ZONED = re.compile(r"%z", re.IGNORECASE)
_ISO_DATE = r"\d{4}-\d{2}-\d{2}"
_ISO_TIME = _ISO_DATE + r"[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?"
# No zone is further from Greenwich than 14 hours; DuckDB would compute with +99:00 all the same.
_ISO_ZONE = r"(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)"
_UTC = ("UTC", "Etc/UTC")


def strict_cast(value: str, found_type: str, mapping: Mapping) -> str:
    """SQL that turns ``value`` of type ``found_type`` into the canonical column's type, or NULL."""
    target = mapping.column.physical_type
    found = found_type.upper()
    if found == target:
        return _from_same(value, target, mapping)
    if found == "VARCHAR" or found == "JSON":
        return _from_text(f"CAST({value} AS VARCHAR)" if found == "JSON" else value, target, mapping)
    if target == "VARCHAR" and found == "BLOB":
        # Text of writers that forget to say so; a plain cast would write ü as \\xC3\\xBC.
        return f"nullif(TRY(decode({value})), '')"
    if target == "VARCHAR" and found in {"DOUBLE", "FLOAT"}:
        # Whole numbers become fractions in tools that know no missing integer: 4711.0 is the card 4711.
        whole = f"{value} = floor({value}) AND abs({value}) < 1e15"
        # Not a number is no text either: as 'nan' it would be the one id of all who have none.
        return (
            f"CASE WHEN {whole} THEN CAST(CAST({value} AS BIGINT) AS VARCHAR)"
            f" WHEN isfinite({value}) THEN CAST({value} AS VARCHAR) END"
        )
    if target == "VARCHAR":
        return f"CAST({value} AS VARCHAR)"
    if target == "TIMESTAMP" and (found == "TIMESTAMP WITH TIME ZONE" or found.startswith("TIMESTAMPTZ")):
        moment = f"TRY_CAST({value} AS TIMESTAMPTZ)"
        return f"CASE WHEN isfinite({moment}) THEN ({moment} AT TIME ZONE 'UTC') END"
    if target == "TIMESTAMP" and (found.startswith("TIMESTAMP") or found == "DATE"):
        return _to_utc(f"TRY_CAST({value} AS TIMESTAMP)", mapping.time_zone)
    if target == "BOOLEAN" and found in _INTEGERS:
        return f"CASE {value} WHEN 0 THEN false WHEN 1 THEN true END"
    if found == "BOOLEAN":
        return f"CAST(NULL AS {target})"  # a yes is no number
    if found in {"DOUBLE", "FLOAT"} and target == "BIGINT":
        return f"CASE WHEN {value} = floor({value}) THEN TRY_CAST({value} AS BIGINT) END"
    if found in {"DOUBLE", "FLOAT"} and target.startswith("DECIMAL"):
        # A binary fraction such as 0.1 + 0.2 stands for the decimal next to it; a third decimal place does not.
        cast = f"TRY_CAST({value} AS {target})"
        # A short float has 7 digits: there the decimal must be the one that it was written from.
        near = f"abs({value} - CAST({cast} AS DOUBLE)) <= 1e-6 OR CAST({cast} AS {found}) = {value}"
        return f"CASE WHEN {near} THEN {cast} END"
    if found in {"DOUBLE", "FLOAT"} and target == "DOUBLE":
        return _finite(f"CAST({value} AS DOUBLE)")
    if found.startswith("DECIMAL") and (target.startswith("DECIMAL") or target == "BIGINT"):
        cast = f"TRY_CAST({value} AS {target})"
        return f"CASE WHEN {cast} = {value} THEN {cast} END"
    return f"TRY_CAST({value} AS {target})"


def _from_same(value: str, target: str, mapping: Mapping) -> str:
    if target == "VARCHAR":
        return f"nullif({value}, '')"
    if target == "TIMESTAMP":
        return _to_utc(value, mapping.time_zone)
    return _finite(value) if target in {"DOUBLE", "DATE"} else value


def _from_text(value: str, target: str, mapping: Mapping) -> str:
    if target == "BIGINT":
        return _matching(value, r"[+-]?\d{1,19}", f"TRY_CAST({value} AS BIGINT)")
    if target == "DOUBLE" or target.startswith("DECIMAL"):
        return _number(value, target, mapping.decimal_separator)
    if target == "BOOLEAN":
        return (
            f"CASE WHEN lower({value}) IN ('true', 't', 'yes', 'y', '1') THEN true"
            f" WHEN lower({value}) IN ('false', 'f', 'no', 'n', '0') THEN false END"
        )
    if target == "DATE":
        if mapping.time_format:
            parsed = f"CAST(try_strptime({value}, {literal(mapping.time_format)}) AS DATE)"
            return _matching(value, shape(mapping.time_format), parsed)
        return _matching(value, _ISO_DATE, f"TRY_CAST({value} AS DATE)")
    return _timestamp(value, mapping)


def _number(value: str, target: str, separator: str) -> str:
    point = re.escape(separator)
    text = value if separator == "." else f"replace({value}, {literal(separator)}, '.')"
    if target == "DOUBLE":
        pattern = rf"[+-]?(\d+({point}\d*)?|{point}\d+)([eE][+-]?\d{{1,3}})?"
    else:
        scale = int(target.rstrip(")").split(",")[1]) if "," in target else 0
        # More decimal places than the column holds would be rounded: money must not be.
        pattern = rf"[+-]?\d+({point}\d{{1,{scale}}}0*)?" if scale else r"[+-]?\d+"
    return _matching(value, pattern, f"TRY_CAST({text} AS {target})")


def _timestamp(value: str, mapping: Mapping) -> str:
    if mapping.time_format:
        zoned = _ZONED.search(mapping.time_format)
        # strptime knows offsets in digits only.
        text = f"regexp_replace({value}, 'Z(\\s*)$', '+00\\1')" if zoned else value
        parsed = f"try_strptime({text}, {literal(mapping.time_format)})"
        then = f"(CAST({parsed} AS TIMESTAMPTZ) AT TIME ZONE 'UTC')" if zoned else _to_utc(parsed, mapping.time_zone)
        return _matching(value, shape(mapping.time_format), then)
    # What has this form is a moment or no date at all, never an infinite one.
    thorough = (
        f"CASE WHEN regexp_full_match({value}, {literal(_ISO_TIME)})"
        f" THEN {_of_zone(f'TRY_CAST({value} AS TIMESTAMP)', mapping.time_zone)}"
        f" WHEN regexp_full_match({value}, {literal(_ISO_TIME + _ISO_ZONE)})"
        f" THEN (TRY_CAST({value} AS TIMESTAMPTZ) AT TIME ZONE 'UTC') END"
    )
    return f"coalesce({_usual_timestamp(value, mapping.time_zone)}, {thorough})"


def _usual_timestamp(value: str, zone: str) -> str:
    """SQL for a moment in the most usual spellings, else NULL: a third of the time that a pattern takes.

    Of so many characters, all digits that the format takes are there, unless blanks stand for some: before them, where
    the first character tells, or behind them, where the bar would not follow.
    """
    arms = ""
    for length, ending, of in ((19, "|", zone), (20, "Z|", _UTC[0])):
        parsed = f"try_strptime({value} || '|', '%Y-%m-%dT%H:%M:%S{ending}')"
        arms += f" WHEN strlen({value}) = {length} AND {value} >= '0' THEN {_of_zone(parsed, of)}"
    return f"CASE{arms} END"


def _of_zone(local: str, zone: str) -> str:
    return local if zone in _UTC else f"(({local} AT TIME ZONE {literal(zone)}) AT TIME ZONE 'UTC')"


def _matching(value: str, pattern: str, then: str) -> str:
    return f"CASE WHEN regexp_full_match({value}, {literal(pattern)}) THEN {then} END"


def _finite(value: str) -> str:
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def _to_utc(value: str, zone: str) -> str:
    if zone in _UTC:
        return f"CASE WHEN isfinite({value}) THEN {value} END"
    local = f"{value} AT TIME ZONE {literal(zone)}"
    return f"CASE WHEN isfinite({value}) THEN (({local}) AT TIME ZONE 'UTC') END"
