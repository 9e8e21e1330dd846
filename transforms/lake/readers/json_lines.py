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
from transforms.settings import Settings
from transforms.sql import identifier, literal, raise_if_machine, scalars

MAX_LINE_BYTES = 16 << 20
# A JSON text with its quotes: what is left without them are names, numbers and brackets.
_TEXT = r'"([^"\\]|\\.)*"'


def stage(
    connection: duckdb.DuckDBPyConnection, settings: Settings, contract: SourceContract, file: LandedFile
) -> Staged:
    """Stage a JSON-lines file. Physical names may be dotted paths such as ``user.id``.

    Raises:
        BrokenFileError: damaged bytes, another encoding, not one JSON object in the file, required keys in none.
    """
    inspection = inspect_text(file.path)
    _stage_lines(connection, settings, file, inspection)
    names = contract.physical_columns
    paths = ", ".join(literal(_json_path(name)) for name in names)
    connection.execute("DROP VIEW IF EXISTS raw_file")
    connection.execute("DROP TABLE IF EXISTS raw_text")
    fields = "".join(f", f[{index}] AS {identifier(name)}" for index, name in enumerate(names, start=1))
    connection.execute(
        f"""
        CREATE TEMP TABLE raw_text AS
        SELECT _ws_row, line AS _ws_line{fields}
        FROM (
            SELECT _ws_row, line, json_extract_string(line, [{paths}]) AS f
            FROM json_lines WHERE fault IS NULL
        )
        """
    )
    connection.execute("CREATE TEMP VIEW raw_file AS SELECT * FROM raw_text")
    connection.execute(
        """
        INSERT INTO unparsed
        SELECT _ws_row, fault, line FROM json_lines WHERE fault IS NOT NULL
        """
    )
    rows, unparsed = scalars(connection, "SELECT (SELECT count(*) FROM raw_text), (SELECT count(*) FROM unparsed)")
    if rows == 0 and unparsed > 0:
        raise BrokenFileError("format: no line holds a JSON object; is this another format, or one large array?")
    new, absent = _drift(connection, contract, rows)
    connection.execute("DROP TABLE json_lines")
    extra = _extra(contract) if new else "CAST(NULL AS VARCHAR)"
    raw = RawTable("raw_file", dict.fromkeys(names, "VARCHAR"), "_ws_line", extra)
    return Staged(raw, rows + unparsed, "unparsed", new, absent)


def _json_path(name: str) -> str:
    return "$." + ".".join('"' + part.replace('"', '\\"') + '"' for part in name.split("."))


def _stage_lines(
    connection: duckdb.DuckDBPyConnection, settings: Settings, file: LandedFile, inspection: Inspection
) -> None:
    connection.execute("CREATE OR REPLACE TEMP TABLE unparsed (_ws_row BIGINT, reason VARCHAR, payload VARCHAR)")
    # A delimiter that JSON text cannot hold unescaped turns the CSV reader into a parallel reader of lines.
    reader = (
        f"read_csv({literal(file.path)}, columns = {{'line': 'VARCHAR'}}, delim = '\\x01', quote = '', escape = '',"
        f" header = false, auto_detect = false, nullstr = '', max_line_size = {MAX_LINE_BYTES},"
        f" compression = {literal(inspection.compression or 'none')})"
    )
    fast = inspection.is_utf8 and inspection.carriage_returns == 0
    if fast:
        try:
            connection.execute(f"CREATE OR REPLACE TEMP TABLE lines AS SELECT line FROM {reader}")
            row = scalars(connection, "SELECT count(*), count(line) FROM lines")
            fast = row == (inspection.lines, inspection.lines)
        except duckdb.Error as error:
            raise_if_machine(error)
            fast = False
    if fast:
        numbered = "SELECT rowid + 1 AS _ws_row, line FROM lines"
    else:
        salvage_lines(connection, settings, file.path, inspection)
        numbered = "SELECT _ws_row, line FROM lines"
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE json_lines AS
        SELECT *, CASE
            WHEN NOT json_valid(line) THEN 'parse:not_json'
            WHEN json_type(line) <> 'OBJECT' THEN 'parse:not_an_object'
            WHEN len(json_keys(line)) <> len(list_distinct(json_keys(line))) THEN 'parse:key_twice'
            WHEN regexp_matches(line, '(?i)nan|inf')
                 AND regexp_matches(regexp_replace(line, '{_TEXT}', '""', 'g'), '(?i)nan|inf') THEN 'parse:not_a_number'
        END AS fault
        FROM ({numbered})
        """
    )
    connection.execute("DROP TABLE lines")


def _drift(
    connection: duckdb.DuckDBPyConnection, contract: SourceContract, rows: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Compare the top-level keys of all lines; a nested key counts as present where its parent is."""
    if rows == 0:
        return (), ()
    keys = {
        key for (key,) in connection.execute("SELECT DISTINCT unnest(json_keys(_ws_line)) FROM raw_text").fetchall()
    }
    nested = {name: name.split(".")[0] for name in (*contract.physical_columns, *contract.ignore_columns)}
    found = [name for name, top in nested.items() if top in keys]
    found += sorted(keys - set(nested.values()))
    return compare_columns(contract, found)


def _extra(contract: SourceContract) -> str:
    """SQL for what is left of a line without the known keys: one term, however many keys the file brings."""
    known = dict.fromkeys(name.split(".")[0] for name in (*contract.physical_columns, *contract.ignore_columns))
    patch = literal(json.dumps(known, ensure_ascii=False))
    return f"nullif(CAST(json_merge_patch(_ws_line, {patch}) AS VARCHAR), '{{}}')"
