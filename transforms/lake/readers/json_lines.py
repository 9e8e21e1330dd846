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
# The ways in which tools write them; searching for words is five times as fast as a pattern.
_NO_NUMBER_WORDS = ("nan", "NaN", "NAN", "inf", "Inf", "INF")
# So many characters of a number are more than a binary fraction holds, and DuckDB reads decimals as those.
_LONG_NUMBER = 17
_TEXT_OR_DECIMAL = r'("(?:[^"\\]|\\.)*")|(-?[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?)'


def stage(
    connection: duckdb.DuckDBPyConnection, settings: Settings, contract: SourceContract, file: LandedFile
) -> Staged:
    """Stage a JSON-lines file. Physical names may be dotted paths such as ``user.id``, as objects or in one key.

    Raises:
        BrokenFileError: damaged bytes, another encoding, not one JSON object in the file, required keys in none.
    """
    inspection = inspect_text(file.path)
    connection.execute("CREATE OR REPLACE TEMP TABLE unparsed (_ws_row BIGINT, reason VARCHAR, payload VARCHAR)")
    dense = _read_fast(connection, file, inspection)
    if not dense:
        salvage_lines(connection, settings, file.path, inspection)
    keys, suspects = _keys(connection)
    new, absent = _drift(contract, file, keys) if keys is not None else ((), ())
    names = contract.physical_columns
    # Exports that flatten their objects write the whole path as one key.
    flat = [name for name in names if "." in name and name in (keys or ())]
    paths = [*map(_json_path, names), *map(_key_path, flat)]
    values = {name: _exactly(index, paths[index - 1]) for index, name in enumerate(names, start=1)}
    for index, name in enumerate(flat, start=len(names) + 1):
        values[name] = f"coalesce({values[name]}, {_exactly(index, paths[index - 1])})"
    fields = "".join(f", {value} AS {identifier(name)}" for name, value in values.items())
    number = "" if dense else "_ws_row, "
    # A line that is no JSON makes the extraction fail, and TRY makes that a NULL.
    table = (
        f"(SELECT {number}line AS _ws_line, f AS _ws_fields{fields} FROM (SELECT {number}line,"
        f" TRY(json_extract_string(line, [{', '.join(map(literal, paths))}])) AS f FROM lines))"
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
    return "$" + "".join(_key_path(part).removeprefix("$") for part in name.split("."))


def _key_path(key: str) -> str:
    return '$."' + key.replace('"', '\\"') + '"'


def _read_fast(connection: duckdb.DuckDBPyConnection, file: LandedFile, inspection: Inspection) -> bool:
    """Fill the temp table ``lines`` (line) in parallel; False where lines and count do not agree."""
    if not inspection.is_utf8 or inspection.carriage_returns:
        return False
    # A delimiter that JSON text cannot hold unescaped turns the CSV reader into a parallel reader of lines.
    reader = (
        f"read_csv({literal(file.path)}, columns = {{'line': 'VARCHAR'}}, delim = '\\x01', quote = '', escape = '',"
        f" header = false, auto_detect = false, nullstr = '', max_line_size = {MAX_LINE_BYTES},"
        f" buffer_size = {2 * MAX_LINE_BYTES}, compression = {literal(inspection.compression or 'none')})"
    )
    try:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE lines AS SELECT line FROM {reader}")
    except duckdb.Error as error:
        raise_if_machine(error)
        return False
    row = scalars(connection, "SELECT count(*), count(line) FROM lines")
    return row == (inspection.lines, inspection.lines)


def _exactly(index: int, path: str) -> str:
    """SQL for an extracted value; a number that may have been rounded is read again with its decimals as texts."""
    # Texts are matched too, so that no number within one is touched; the marks cannot occur in JSON.
    marked = rf"regexp_replace(line, {literal(_TEXT_OR_DECIMAL)}, E'\\1\x02\\2\x03', 'g')"
    for mark, quote in ((r"\x02\x03", ""), (r"\x02", '"'), (r"\x03", '"')):
        marked = f"replace({marked}, E'{mark}', {literal(quote)})"
    again = f"json_extract_string({marked}, {literal(path)})"
    value = f"f[{index}]"
    # One within the other: both conditions of an AND would be computed for every row.
    exact = f"CASE WHEN regexp_full_match({value}, '[-+0-9.eE]+') THEN {again} ELSE {value} END"
    return f"CASE WHEN length({value}) >= {_LONG_NUMBER} THEN {exact} ELSE {value} END"


def _keys(connection: duckdb.DuckDBPyConnection) -> tuple[set[str] | None, bool]:
    """All top-level keys of the file (None without any line), and whether some line is worth a closer look.

    Lines of one shape are counted together, so that a second pass over them is needed only where a shape is odd: no
    object, no key at all, a key twice, or a word that could be no number.

    Raises:
        BrokenFileError: not one line holds a JSON object.
    """
    words = " OR ".join(f"contains(line, '{word}')" for word in _NO_NUMBER_WORDS)
    shapes = connection.execute(
        f"SELECT any_value(keys), bool_or({words}) FROM (SELECT line, TRY(json_keys(line)) AS keys FROM lines)"
        " GROUP BY hash(keys)"
    ).fetchall()
    if not shapes:
        unparsed = scalars(connection, "SELECT count(*) FROM unparsed")
        if unparsed != (0,):
            raise BrokenFileError("format: no line holds a JSON object; is this another format, or one large array?")
        return None, False
    keys = {key for names, _ in shapes for key in names or ()}
    odd = any(not names or len(names) != len(set(names)) or maybe for names, maybe in shapes)
    if not keys and not scalars(connection, "SELECT count(*) FILTER (TRY(json_type(line)) = 'OBJECT') FROM lines")[0]:
        raise BrokenFileError("format: no line holds a JSON object; is this another format, or one large array?")
    return keys, odd


def _fault(suspects: bool) -> str | None:
    """SQL for the reason why a line is no record."""
    if not suspects:
        return None
    words = " OR ".join(f"contains(_ws_line, '{word}')" for word in _NO_NUMBER_WORDS)
    return f"""CASE
        WHEN _ws_fields IS NULL OR NOT json_valid(_ws_line) THEN 'parse:not_json'
        WHEN json_type(_ws_line) <> 'OBJECT' THEN 'parse:not_an_object'
        WHEN len(json_keys(_ws_line)) <> len(list_distinct(json_keys(_ws_line))) THEN 'parse:key_twice'
        WHEN ({words})
             AND regexp_matches(regexp_replace(_ws_line, '{_TEXT}', '""', 'g'), '{_NO_NUMBER}')
             THEN 'parse:not_a_number'
    END"""


def _drift(contract: SourceContract, file: LandedFile, keys: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Compare the top-level keys of all lines; a nested key counts as present where its parent is."""
    nested = {name: name.split(".")[0] for name in (*contract.physical_columns, *contract.ignore_columns)}
    found = [name for name, top in nested.items() if top in keys or name in keys]
    found += sorted(keys - set(nested.values()) - set(nested))
    return compare_columns(contract, found, partition_values(file))


def _extra(contract: SourceContract) -> str:
    """SQL for what is left of a line without the known keys: one term, however many keys the file brings."""
    names = (*contract.physical_columns, *contract.ignore_columns)
    known = dict.fromkeys([*names, *(name.split(".")[0] for name in names)])
    patch = literal(json.dumps(known, ensure_ascii=False))
    # Not for the lines that are no JSON: this would fail on them.
    return f"nullif(CAST(TRY(json_merge_patch(_ws_line, {patch})) AS VARCHAR), '{{}}')"
