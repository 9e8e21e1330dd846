"""JSON lines: one object a line; a line that is none goes to quarantine alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import duckdb

from transforms.contracts import SourceContract
from transforms.contracts.gate_sql import RawTable
from transforms.lake.inspection import BrokenFileError, Inspection, TextCount, inspect_text, open_bytes
from transforms.lake.landing import LandedFile
from transforms.lake.readers import UNFORESEEN, Staged
from transforms.lake.readers.delimited import salvage_lines
from transforms.lake.readers.drift import compare_columns
from transforms.lake.readers.json_spelling import spelling_of
from transforms.lake.readers.partitions import partition_values
from transforms.settings import Settings
from transforms.sql import identifier, literal, raise_if_machine, scalars

MAX_LINE_BYTES = 16 << 20
# So many lines tell the shapes of a file; with more shapes than these, comparing costs more than a pass of its own.
_SAMPLE, _MAX_SHAPES = 10_000, 20
# A JSON text with its quotes: what is left without them are names, numbers and brackets.
_TEXT = r'"([^"\\]|\\.)*"'
# DuckDB's parser takes these for numbers; the standard does not.
_NO_NUMBER = r"(?i)nan|inf"
# The ways in which tools write them; searching for words is five times as fast as a pattern.
_NO_NUMBER_WORDS = ("nan", "NaN", "NAN", "inf", "Inf", "INF")
# So many characters of a number are more than a binary fraction holds, and DuckDB reads decimals as those.
_LONG_NUMBER = 17
_TEXT_OR_DECIMAL = r'("(?:[^"\\]|\\.)*")|(-?[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?)'


@dataclass(frozen=True)
class _Shapes:
    """Which keys the lines of a file have, in which orders; ``odd`` where some line is worth a closer look."""

    orders: tuple[tuple[str, ...], ...]
    odd: bool
    rows: int
    lines: int

    @property
    def keys(self) -> set[str]:
        return {key for order in self.orders for key in order}


def stage(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: SourceContract,
    file: LandedFile,
    counted: TextCount | None = None,
) -> Staged:
    """Stage a JSON-lines file. Physical names may be dotted paths such as ``user.id``, as objects or in one key.

    Most files have few shapes of lines, and the first lines tell them: then one pass reads and checks all, and finds
    the line that is of another shape. Else the lines are looked at beforehand.

    Raises:
        BrokenFileError: damaged bytes, another encoding, not one JSON object in the file, required keys in none.
    """
    inspection = inspect_text(file.path, counted)
    connection.execute("CREATE OR REPLACE TEMP TABLE unparsed (_ws_row BIGINT, reason VARCHAR, payload VARCHAR)")
    lines = _lines(file, inspection)

    def thoroughly() -> Staged:
        shapes = _shapes(connection, lines) if lines else None
        if lines and shapes and (shapes.rows, shapes.lines) == (inspection.lines, inspection.lines):
            return _staged(connection, contract, file, lines, shapes, 1)
        salvage_lines(connection, settings, file.path, inspection)
        shapes = _shapes(connection, "lines")
        if shapes is None:
            raise BrokenFileError(f"accounting: {file.path} cannot be read a second time")
        return _staged(connection, contract, file, "lines", shapes, None)

    first = _shapes(connection, f"(SELECT line FROM {lines} LIMIT {_SAMPLE})") if lines else None
    if not lines or first is None or first.odd or not 0 < len(first.orders) <= _MAX_SHAPES:
        return thoroughly()
    try:
        return _staged_quickly(connection, contract, file, lines, inspection, first, thoroughly)
    except BrokenFileError:
        # What the first lines lack, others may have.
        return thoroughly()


def _staged(
    connection: duckdb.DuckDBPyConnection,
    contract: SourceContract,
    file: LandedFile,
    lines: str,
    shapes: _Shapes,
    first_row: int | None,
) -> Staged:
    """Stage ``lines``, a table (line) of lines in the file's order, or (_ws_row, line)."""
    _refuse_other_format(connection, lines, shapes)
    new, absent = _drift(contract, file, shapes.keys) if shapes.orders else ((), ())
    paths = _Paths.of(contract, shapes.keys)
    number = "" if first_row else "_ws_row, "
    table = (
        f"(SELECT {number}line AS _ws_line, f AS _ws_fields, keys AS _ws_keys{paths.columns(_exactly)}"
        f" FROM (SELECT {number}line, TRY({paths.values}) AS f, TRY(json_keys(line)) AS keys FROM {lines}))"
    )
    return Staged(_raw(contract, table, first_row, new, _fault(shapes.odd)), "unparsed", new, absent)


def _staged_quickly(
    connection: duckdb.DuckDBPyConnection,
    contract: SourceContract,
    file: LandedFile,
    lines: str,
    inspection: Inspection,
    shapes: _Shapes,
    thoroughly: Callable[[], Staged],
) -> Staged:
    """Stage the lines in the belief that all are like the first ones.

    One that is not has the fault ``UNFORESEEN``; one that is no JSON fails the query. Either way the file is reread.
    """
    new, absent = _drift(contract, file, shapes.keys)
    spelling = None
    if len(shapes.orders) == 1:
        with open_bytes(file.path, inspection.compression) as first:
            spelling = spelling_of(iter(partial(first.readline, MAX_LINE_BYTES), b""))
    paths = (_Paths.in_order(contract, spelling.keys) if spelling else None) or _Paths.of(
        contract, shapes.keys, spelling.keys if spelling else ()
    )
    # A number that was rounded is not spelt as it came.
    columns = paths.columns(_as_parsed if spelling else _exactly)
    same = spelling.is_followed("line", [paths.field(_key_path(key)) for key in spelling.keys]) if spelling else "false"
    table = (
        f"(SELECT line AS _ws_line, same AS _ws_same, f AS _ws_fields{columns}"
        f" FROM (SELECT line, f, {same} AS same FROM (SELECT line, {paths.values} AS f FROM {lines})))"
    )
    raw = _raw(contract, table, 1, new, _unforeseen(shapes, paths if spelling else None))
    return Staged(raw, "unparsed", new, absent, inspection.lines, thoroughly, lines)


def _raw(
    contract: SourceContract, table: str, first_row: int | None, new: tuple[str, ...], fault: str | None
) -> RawTable:
    types = {**dict.fromkeys(contract.physical_columns, "VARCHAR"), "_ws_line": "VARCHAR"}
    return RawTable(table, types, first_row, "_ws_line", _extra(contract) if new else None, fault)


@dataclass(frozen=True)
class _Paths:
    """What is taken from a line, in one go: ``paths`` become the list ``f``, of which each name has a place or two.

    ``in_file_order`` where the paths are just those of all keys of a line, one after the other.
    """

    paths: tuple[str, ...]
    places: Mapping[str, tuple[int, ...]]
    in_file_order: bool = False

    @classmethod
    def of(cls, contract: SourceContract, keys: Collection[str], others: Iterable[str] = ()) -> _Paths:
        """Paths of the physical columns, and of other top-level keys."""
        names = contract.physical_columns
        # Exports that flatten their objects write the whole path as one key.
        flat = [name for name in names if "." in name and name in keys]
        paths = [*map(_json_path, names), *map(_key_path, flat)]
        places: dict[str, tuple[int, ...]] = {name: (place,) for place, name in enumerate(names)}
        for place, name in enumerate(flat, start=len(names)):
            places[name] += (place,)
        paths += [path for path in map(_key_path, others) if path not in paths]
        return cls(tuple(paths), places)

    @classmethod
    def in_order(cls, contract: SourceContract, keys: Sequence[str]) -> _Paths | None:
        """All values of lines that have just these keys, which saves looking for them; None where one lies deeper."""
        if any("." in name and name.split(".")[0] in keys for name in contract.physical_columns):
            return None
        places = {name: (keys.index(name),) if name in keys else () for name in contract.physical_columns}
        return cls(tuple(map(_key_path, keys)), places, in_file_order=True)

    @property
    def values(self) -> str:
        """SQL for the list; it fails where the line is no JSON."""
        if self.in_file_order:
            return "json_extract_string(line, '$.*')"
        return f"json_extract_string(line, [{', '.join(map(literal, self.paths))}])"

    def field(self, path: str) -> str:
        return f"f[{self.paths.index(path) + 1}]"

    def columns(self, read: Callable[[str, str], str]) -> str:
        """SQL for the physical columns, each after a comma; ``read`` makes SQL of a field and its path."""
        columns = ""
        for name, places in self.places.items():
            fields = ", ".join(read(self.field(self.paths[place]), self.paths[place]) for place in places)
            columns += f", coalesce({fields or 'NULL'}) AS {identifier(name)}"
        return columns


def _json_path(name: str) -> str:
    return "$" + "".join(_key_path(part).removeprefix("$") for part in name.split("."))


def _key_path(key: str) -> str:
    return '$."' + key.replace('"', '\\"') + '"'


def _lines(file: LandedFile, inspection: Inspection) -> str | None:
    """SQL for the file's lines in order, read in parallel; None where only a slower way is sure of them."""
    if not inspection.is_utf8 or inspection.carriage_returns:
        return None
    # A delimiter that JSON text cannot hold unescaped turns the CSV reader into a parallel reader of lines.
    return (
        f"read_csv({literal(file.path)}, columns = {{'line': 'VARCHAR'}}, delim = '\\x01', quote = '', escape = '',"
        f" header = false, auto_detect = false, nullstr = '', max_line_size = {MAX_LINE_BYTES},"
        f" buffer_size = {2 * MAX_LINE_BYTES}, compression = {literal(inspection.compression or 'none')})"
    )


def _as_parsed(field: str, path: str) -> str:
    return field


def _exactly(field: str, path: str) -> str:
    """SQL for an extracted value; a number that may have been rounded is read again with its decimals as texts."""
    # Texts are matched too, so that no number within one is touched; the marks cannot occur in JSON.
    marked = rf"regexp_replace(line, {literal(_TEXT_OR_DECIMAL)}, E'\\1\x02\\2\x03', 'g')"
    for mark, quote in ((r"\x02\x03", ""), (r"\x02", '"'), (r"\x03", '"')):
        marked = f"replace({marked}, E'{mark}', {literal(quote)})"
    again = f"json_extract_string({marked}, {literal(path)})"
    return f"CASE WHEN {_is_long_number(field)} THEN {again} ELSE {field} END"


def _is_long_number(field: str) -> str:
    # One within the other: both conditions of an AND would be computed for every row. What is long is mostly a
    # moment; no number has a colon, and that is told sooner than by a pattern.
    number = f"CASE WHEN contains({field}, ':') THEN false ELSE regexp_full_match({field}, '[-+0-9.eE]+') END"
    return f"CASE WHEN strlen({field}) >= {_LONG_NUMBER} THEN {number} ELSE false END"


def _shapes(connection: duckdb.DuckDBPyConnection, lines: str) -> _Shapes | None:
    """Look at all lines; None where they cannot be read in this way.

    Lines of one shape are counted together, so that a closer look is needed only where a shape is odd: no object, no
    key at all, a key twice, or a word that could be no number.
    """
    try:
        found = connection.execute(
            f"SELECT any_value(keys), bool_or({_words('line')}), count(*), count(line)"
            f" FROM (SELECT line, TRY(json_keys(line)) AS keys FROM {lines}) GROUP BY hash(keys)"
        ).fetchall()
    except duckdb.Error as error:
        raise_if_machine(error)
        return None
    odd = any(not names or len(names) != len(set(names)) or maybe for names, maybe, _, _ in found)
    # Sorted, so that the same lines make the same query.
    orders = tuple(sorted(tuple(names or ()) for names, *_ in found))
    return _Shapes(orders, odd, sum(row[2] for row in found), sum(row[3] for row in found))


def _refuse_other_format(connection: duckdb.DuckDBPyConnection, lines: str, shapes: _Shapes) -> None:
    if shapes.keys:
        return
    objects = f"SELECT count(*) FILTER (TRY(json_type(line)) = 'OBJECT') FROM {lines}"
    broken = scalars(connection, "SELECT count(*) FROM unparsed") != (0,)
    if (shapes.orders and scalars(connection, objects) == (0,)) or (not shapes.orders and broken):
        raise BrokenFileError("format: no line holds a JSON object; is this another format, or one large array?")


def _words(line: str) -> str:
    return " OR ".join(f"contains({line}, '{word}')" for word in _NO_NUMBER_WORDS)


def _unforeseen(shapes: _Shapes, paths: _Paths | None) -> str:
    """SQL for the fault of a line that the first lines have not foreseen; ``paths`` of numbers that may be rounded."""
    orders = ", ".join(f"[{', '.join(map(literal, order))}]" for order in shapes.orders)
    known = f"coalesce(list_contains([{orders}], TRY(json_keys(_ws_line))), false)"
    fields = [f"_ws_fields[{place}]" for place in range(1, len(paths.paths) + 1)] if paths else []
    signs = " OR ".join([f"NOT {known}", _words("_ws_line"), *map(_is_long_number, fields)])
    return f"CASE WHEN _ws_same THEN NULL WHEN {signs} THEN {literal(UNFORESEEN)} END"


def _fault(suspects: bool) -> str | None:
    """SQL for the reason why a line is no record."""
    if not suspects:
        return None
    return f"""CASE
        WHEN _ws_fields IS NULL OR NOT json_valid(_ws_line) THEN 'parse:not_json'
        WHEN json_type(_ws_line) <> 'OBJECT' THEN 'parse:not_an_object'
        WHEN len(_ws_keys) <> len(list_distinct(_ws_keys)) THEN 'parse:key_twice'
        WHEN ({_words("_ws_line")})
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
