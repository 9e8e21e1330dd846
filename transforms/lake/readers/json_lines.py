"""JSON lines: one object a line; a line that is none goes to quarantine alone."""

from __future__ import annotations

import json

import duckdb

from transforms.contracts import SourceContract
from transforms.contracts.gate_sql import RawTable
from transforms.lake.inspection import BrokenFileError, Inspection, inspect_text
from transforms.lake.landing import LandedFile
from transforms.lake.readers import Staged
from transforms.lake.readers.delimited import salvage_lines
from transforms.lake.readers.drift import compare_columns
from transforms.lake.readers.partitions import partition_values
from transforms.settings import Settings
from transforms.sql import identifier, literal, raise_if_machine, scalars

MAX_LINE_BYTES = 16 << 20
# A JSON text with its quotes: what is left without them are names, numbers and brackets.
_TEXT = r'"([^"\\]|\\.)*"'
# DuckDB's parser takes these for numbers; the standard does not.
_NO_NUMBER = r"(?i)nan|inf"
# So many digits are more than a binary fraction holds, and DuckDB reads decimals as those.
_LONG_NUMBER = "[0-9.]{17}"
_TEXT_OR_DECIMAL = r'("(?:[^"\\]|\\.)*")|(-?[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?)'


def stage(
    connection: duckdb.DuckDBPyConnection, settings: Settings, contract: SourceContract, file: LandedFile
) -> Staged:
    """Stage a JSON-lines file. Physical names may be dotted paths such as ``user.id``.

    Raises:
        BrokenFileError: damaged bytes, another encoding, not one JSON object in the file, required keys in none.
    """
    inspection = inspect_text(file.path)
    connection.execute("CREATE OR REPLACE TEMP TABLE unparsed (_ws_row BIGINT, reason VARCHAR, payload VARCHAR)")
    dense = _read_fast(connection, file, inspection)
    if not dense:
        salvage_lines(connection, settings, file.path, inspection)
    keys, suspects, has_long_numbers = _keys(connection)
    line = _with_exact_decimals("line") if has_long_numbers else "line"
    new, absent = _drift(contract, file, keys) if keys is not None else ((), ())
    names = contract.physical_columns
    paths = ", ".join(literal(_json_path(name)) for name in names)
    fields = "".join(f", f[{index}] AS {identifier(name)}" for index, name in enumerate(names, start=1))
    number = "" if dense else "_ws_row, "
    # A line that is no JSON makes the extraction fail, and TRY makes that a NULL.
    table = (
        f"(SELECT {number}line AS _ws_line, f AS _ws_fields{fields} FROM (SELECT {number}line,"
        f" TRY(json_extract_string({line}, [{paths}])) AS f FROM lines))"
    )
    raw = RawTable(
        table,
        {**dict.fromkeys(names, "VARCHAR"), "_ws_line": "VARCHAR"},
        1 if dense else None,
        text="_ws_line",
        extra=_extra(contract) if new else "CAST(NULL AS VARCHAR)",
        fault=_fault(suspects),
    )
    return Staged(raw, "unparsed", new, absent)


def _json_path(name: str) -> str:
    return "$." + ".".join('"' + part.replace('"', '\\"') + '"' for part in name.split("."))


def _read_fast(connection: duckdb.DuckDBPyConnection, file: LandedFile, inspection: Inspection) -> bool:
    """Fill the temp table ``lines`` (line) in parallel; False where lines and count do not agree."""
    if not inspection.is_utf8 or inspection.carriage_returns:
        return False
    # A delimiter that JSON text cannot hold unescaped turns the CSV reader into a parallel reader of lines.
    reader = (
        f"read_csv({literal(file.path)}, columns = {{'line': 'VARCHAR'}}, delim = '\\x01', quote = '', escape = '',"
        f" header = false, auto_detect = false, nullstr = '', max_line_size = {MAX_LINE_BYTES},"
        f" compression = {literal(inspection.compression or 'none')})"
    )
    try:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE lines AS SELECT line FROM {reader}")
    except duckdb.Error as error:
        raise_if_machine(error)
        return False
    row = scalars(connection, "SELECT count(*), count(line) FROM lines")
    return row == (inspection.lines, inspection.lines)


def _with_exact_decimals(line: str) -> str:
    """SQL for a line whose decimals are texts: every digit of them survives the parser then."""
    # Texts are matched too, so that no number within one is touched; the marks cannot occur in JSON.
    marked = rf"regexp_replace({line}, {literal(_TEXT_OR_DECIMAL)}, E'\\1\x02\\2\x03', 'g')"
    for mark, quote in ((r"\x02\x03", ""), (r"\x02", '"'), (r"\x03", '"')):
        marked = f"replace({marked}, E'{mark}', {literal(quote)})"
    return f"CASE WHEN regexp_matches({line}, '{_LONG_NUMBER}') THEN {marked} ELSE {line} END"


def _keys(connection: duckdb.DuckDBPyConnection) -> tuple[set[str] | None, bool, bool]:
    """All top-level keys of the file (None without any line), whether some line is worth a closer look, and whether
    some holds a number of many digits.

    Lines of one shape are counted together, so that a second pass over them is needed only where a shape is odd: no
    object, no key at all, a key twice, or a word that could be no number.

    Raises:
        BrokenFileError: not one line holds a JSON object.
    """
    shapes = connection.execute(
        f"""
        SELECT any_value(keys), count(*), bool_or(maybe_no_number), bool_or(maybe_long)
        FROM (
            SELECT TRY(json_keys(line)) AS keys, regexp_matches(line, '[:,\\[]\\s*-?({_NO_NUMBER[4:]})', 'i')
                   AS maybe_no_number, regexp_matches(line, '{_LONG_NUMBER}') AS maybe_long
            FROM lines
        ) GROUP BY hash(keys)
        """
    ).fetchall()
    if not shapes:
        unparsed = scalars(connection, "SELECT count(*) FROM unparsed")
        if unparsed != (0,):
            raise BrokenFileError("format: no line holds a JSON object; is this another format, or one large array?")
        return None, False, False
    keys = {key for names, *_ in shapes for key in names or ()}
    odd = any(not names or len(names) != len(set(names)) or maybe for names, _, maybe, _ in shapes)
    if not keys and not scalars(connection, "SELECT count(*) FILTER (TRY(json_type(line)) = 'OBJECT') FROM lines")[0]:
        raise BrokenFileError("format: no line holds a JSON object; is this another format, or one large array?")
    return keys, odd, any(is_long for *_, is_long in shapes)


def _fault(suspects: bool) -> str | None:
    """SQL for the reason why a line is no record."""
    if not suspects:
        return None
    return f"""CASE
        WHEN _ws_fields IS NULL OR NOT json_valid(_ws_line) THEN 'parse:not_json'
        WHEN json_type(_ws_line) <> 'OBJECT' THEN 'parse:not_an_object'
        WHEN len(json_keys(_ws_line)) <> len(list_distinct(json_keys(_ws_line))) THEN 'parse:key_twice'
        WHEN regexp_matches(_ws_line, '{_NO_NUMBER}')
             AND regexp_matches(regexp_replace(_ws_line, '{_TEXT}', '""', 'g'), '{_NO_NUMBER}')
             THEN 'parse:not_a_number'
    END"""


def _drift(contract: SourceContract, file: LandedFile, keys: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Compare the top-level keys of all lines; a nested key counts as present where its parent is."""
    nested = {name: name.split(".")[0] for name in (*contract.physical_columns, *contract.ignore_columns)}
    found = [name for name, top in nested.items() if top in keys]
    found += sorted(keys - set(nested.values()))
    return compare_columns(contract, found, partition_values(file))


def _extra(contract: SourceContract) -> str:
    """SQL for what is left of a line without the known keys: one term, however many keys the file brings."""
    known = dict.fromkeys(name.split(".")[0] for name in (*contract.physical_columns, *contract.ignore_columns))
    patch = literal(json.dumps(known, ensure_ascii=False))
    # Not for the lines that are no JSON: this would fail on them.
    return f"nullif(CAST(TRY(json_merge_patch(_ws_line, {patch})) AS VARCHAR), '{{}}')"
