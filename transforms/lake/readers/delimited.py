"""CSV: read as text with independent accounting, line by line where the fast way does not add up.

DuckDB's parser is quick but one stray quote can make it swallow 130,000 rows with a single reject. So the bytes are
counted beforehand, and a file whose lines, header and rows do not add up is read again by the salvage path, which
knows the physical line of every record and refuses only the records that are broken.

Surplus fields at the end of a record are tolerated where they are empty: nothing is lost with them.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from transforms.contracts import SourceContract
from transforms.contracts.gate_sql import RawTable
from transforms.lake.inspection import BrokenFileError, Inspection, TextCount, first_line, inspect_text, numbered_lines
from transforms.lake.landing import LandedFile
from transforms.lake.readers import Staged
from transforms.lake.readers.drift import compare_columns, extra_json, refuse_reserved
from transforms.lake.readers.partitions import partition_values
from transforms.settings import Settings
from transforms.sql import columns as column_list
from transforms.sql import literal, raise_if_machine, scalars

# A quoted field with more line breaks than this is a stray quote that ran on.
MAX_LINES_PER_RECORD = 50
# More undecodable lines than this share, and the file is in another encoding, not a file with a few bad rows.
MAX_UNDECODABLE_SHARE = 0.05
MAX_RECORD_BYTES = 16 << 20
# By itself DuckDB takes sixteen times the longest line, 256 MB at a time.
BUFFER_BYTES = 2 * MAX_RECORD_BYTES
# A table of more columns is no table; DuckDB's plans over it take gigabytes.
MAX_COLUMNS = 2_000
MAX_HEADER_BYTES = 1 << 20
# What is kept of a record that is too long to be one; the landing folder has all of it.
MAX_KEPT = 1 << 16
# Records and their bytes that salvage holds before it hands them on.
SALVAGE_ROWS, SALVAGE_BYTES = 100_000, 32 << 20
# Python's parser stops at 128 KiB a field, where a long comment may well go on.
csv.field_size_limit(MAX_RECORD_BYTES)


def stage(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: SourceContract,
    file: LandedFile,
    counted: TextCount | None = None,
) -> Staged:
    """Stage a CSV file; see the module's text.

    Raises:
        BrokenFileError: damaged bytes, another encoding, a header that does not fit.
    """
    inspection = inspect_text(file.path, counted)
    delimiter = contract.server.delimiter
    header = _header(file.path, inspection, delimiter)
    new, absent = compare_columns(contract, header, partition_values(file))
    columns, extra = dict.fromkeys(header, "VARCHAR"), extra_json(new)

    def salvage() -> Staged:
        _stage_salvaged(connection, settings, file.path, inspection, header, delimiter)
        return Staged(RawTable("raw_text", columns, extra=extra), "unparsed", new, absent)

    # Other bytes, or line ends that change on the way, are beyond DuckDB's parser.
    if not inspection.is_utf8 or inspection.carriage_returns not in (0, inspection.lines):
        return salvage()
    raw = RawTable(_read_csv(file.path, header, delimiter, inspection.compression, 1, False), columns, 2, extra=extra)
    return Staged(raw, None, new, absent, inspection.lines - 1, salvage)


def _header(path: Path, inspection: Inspection, delimiter: str) -> list[str]:
    line = first_line(path, inspection.compression, MAX_HEADER_BYTES).removeprefix(codecs.BOM_UTF8)
    try:
        names = next(csv.reader([line.decode("utf-8")], delimiter=delimiter, strict=True), [])
    except UnicodeDecodeError as error:
        raise BrokenFileError("encoding: the header is not UTF-8") from error
    except csv.Error as error:
        raise BrokenFileError(f"columns: the first line is no header: {error}") from error
    if not names or all(not name.strip() for name in names):
        raise BrokenFileError("columns: the first line is no header")
    if len(names) > MAX_COLUMNS:
        raise BrokenFileError(f"columns: {len(names):,} in the header, at most {MAX_COLUMNS:,} are read")
    # A delimiter at the end of each line makes a column without a name.
    header = [name or f"column{position}" for position, name in enumerate(names, start=1)]
    refuse_reserved(header)
    counted = Counter(name.lower() for name in header)
    twice = sorted(name for name in header if counted[name.lower()] > 1)
    if twice:
        raise BrokenFileError(f"columns: {', '.join(map(repr, dict.fromkeys(twice)))} more than once in the header")
    return header


def _read_csv(path: Path, columns: list[str], delimiter: str, compression: str | None, skip: int, reject: bool) -> str:
    """Call of DuckDB's parser; a record that breaks the rules ends it, or is set aside with ``reject``.

    Each of those costs up to 6 kB of memory beyond DuckDB's limit: a million of them would end the process.
    """
    types = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in columns)
    return (
        f"read_csv({literal(path)}, columns = {{{types}}}, delim = {literal(delimiter)}, header = false, skip = {skip},"
        f" quote = '\"', escape = '\"', auto_detect = false, strict_mode = true, null_padding = false, nullstr = '',"
        f" store_rejects = {reject}, max_line_size = {MAX_RECORD_BYTES}, buffer_size = {BUFFER_BYTES},"
        f" compression = {literal(compression or 'none')})"
    )


def forget_rejects(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop what DuckDB keeps of records that it could not parse, so that the next file's are the only ones."""
    connection.execute("DROP TABLE IF EXISTS reject_errors")
    connection.execute("DROP TABLE IF EXISTS reject_scans")


@dataclass(frozen=True)
class _Record:
    line: int
    text: str
    reason: str | None = None


class _Batches:
    """Rows on their way into a table, in batches: one by one they would take half a millisecond each."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: str, names: tuple[str, ...]):
        self._connection, self._table, self._names = connection, table, names
        self._rows: list[tuple[int | str | None, ...]] = []
        self._bytes = 0

    def add(self, *row: int | str | None) -> None:
        self._rows.append(row)
        self._bytes += len(str(row[-1]))
        if len(self._rows) >= SALVAGE_ROWS or self._bytes >= SALVAGE_BYTES:
            self.flush()

    def flush(self) -> None:
        if not self._rows:
            return
        batch = pa.table(dict(zip(self._names, map(list, zip(*self._rows, strict=True)), strict=True)))
        self._connection.register("_salvaged", batch)
        self._connection.execute(f"INSERT INTO {self._table} SELECT {column_list(self._names)} FROM _salvaged")
        self._connection.unregister("_salvaged")
        self._rows, self._bytes = [], 0


def _unparsed(connection: duckdb.DuckDBPyConnection) -> _Batches:
    return _Batches(connection, "unparsed", ("_ws_row", "reason", "payload"))


def _stage_salvaged(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    path: Path,
    inspection: Inspection,
    header: list[str],
    delimiter: str,
) -> None:
    """Number the records ourselves, set the broken ones aside and let DuckDB parse the rest."""
    settings.scratch.mkdir(parents=True, exist_ok=True)
    numbered = settings.scratch / f"salvage-{os.getpid()}-{path.name}.csv"
    forget_rejects(connection)
    connection.execute("CREATE OR REPLACE TEMP TABLE unparsed (_ws_row BIGINT, reason VARCHAR, payload VARCHAR)")
    broken = _unparsed(connection)
    total = undecodable = 0
    try:
        with numbered.open("w", encoding="utf-8", newline="") as target:
            for record in _records(path, inspection.compression, delimiter, len(header)):
                total += 1
                if record.reason:
                    broken.add(record.line, record.reason, record.text)
                    undecodable += record.reason == "parse:invalid_utf8"
                else:
                    target.write(f"{record.line}{delimiter}{record.text}\n")
        _refuse_other_encoding(undecodable, total)
        broken.flush()
        names = ["_ws_line", *header]
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE raw_text AS"
            f" SELECT CAST(_ws_line AS BIGINT) AS _ws_row, {column_list(header)}"
            f" FROM {_read_csv(numbered, names, delimiter, None, 0, True)}",
        )
    except duckdb.Error as error:
        raise_if_machine(error)
        raise BrokenFileError(f"parse: {error}") from error
    finally:
        numbered.unlink(missing_ok=True)
    connection.execute(
        """
        INSERT INTO unparsed
        SELECT TRY_CAST(split_part(csv_line, $delimiter, 1) AS BIGINT),
               'parse:' || min(replace(lower(CAST(error_type AS VARCHAR)), ' ', '_')),
               substr(csv_line, instr(csv_line, $delimiter) + 1)
        FROM reject_errors GROUP BY csv_line, line
        """,
        {"delimiter": delimiter},
    )
    row = scalars(connection, "SELECT (SELECT count(*) FROM raw_text) + (SELECT count(*) FROM unparsed)")
    if row != (total,):
        raise BrokenFileError(f"accounting: {total} records in the file, {row[0]} after parsing")


def _records(path: Path, compression: str | None, delimiter: str, width: int) -> Iterator[_Record]:
    """Records of a CSV file after its header, each with its first physical line; blank lines are no records."""
    lines = numbered_lines(path, compression, MAX_RECORD_BYTES)
    next(lines, None)
    waiting: deque[tuple[int, bytes, bool]] = deque()
    while True:
        item = waiting.popleft() if waiting else next(lines, None)
        if item is None:
            return
        number, line, is_whole = item
        stripped = line.rstrip(b"\r\n")
        if not stripped:
            continue
        if not is_whole:
            yield _Record(number, stripped[:MAX_KEPT].decode("utf-8", "backslashreplace"), "parse:line_too_long")
            continue
        try:
            text = stripped.decode("utf-8")
        except UnicodeDecodeError:
            yield _Record(number, stripped.decode("utf-8", "backslashreplace"), "parse:invalid_utf8")
            continue
        if text.count('"') % 2 == 0:
            yield _Record(number, text, _fault(text, delimiter, width))
            continue
        if _fields(text, delimiter) == width and not re.search(rf'(^|{re.escape(delimiter)})\s+"', text):
            # A quote within a field that is not in quotes, such as 17" for inches, opens nothing; one after a space
            # does for DuckDB.
            yield _Record(number, text)
            continue
        joined = _joined(text, waiting, lines)
        # Strict, because two stray quotes in neighbouring rows would else make one record of the two.
        if joined and _fields("\n".join(joined), delimiter) == width:
            for _ in joined[1:]:
                waiting.popleft()
            yield _Record(number, "\n".join(joined))
        else:
            yield _Record(number, text, "parse:unterminated_quote")


def _joined(
    text: str, waiting: deque[tuple[int, bytes, bool]], lines: Iterator[tuple[int, bytes, bool]]
) -> list[str] | None:
    """A line whose quotes do not match, with those after it up to where they do; None where they do not soon.

    Lines that are looked at are put into ``waiting``, from where they are taken if they are no part of the record.
    """
    parts, size = [text], len(text)
    for ahead in range(MAX_LINES_PER_RECORD):
        if ahead >= len(waiting):
            following = next(lines, None)
            if following is None:
                return None
            waiting.append(following)
        _, line, is_whole = waiting[ahead]
        size += len(line)
        if not is_whole or size > MAX_RECORD_BYTES:
            return None
        parts.append(line.rstrip(b"\r\n").decode("utf-8", "replace"))
        if line.count(b'"') % 2:
            return parts
    return None


def _fault(text: str, delimiter: str, width: int) -> str | None:
    """Why a line is no record of so many fields, in DuckDB's words; None where it seems to be one."""
    if "\r" in text and not _fields(text, delimiter):
        # DuckDB would refuse the whole file for one.
        return "parse:carriage_return"
    if '"' not in text:
        if text.count(delimiter) + 1 == width:
            return None
        fields = text.split(delimiter)
    else:
        try:
            fields = next(csv.reader([text], delimiter=delimiter, strict=True), [])
        except csv.Error:
            return "parse:unquoted_value"
    if len(fields) < width:
        return "parse:missing_columns"
    return "parse:too_many_columns" if any(fields[width:]) else None


def _fields(record: str, delimiter: str) -> int:
    """Number of fields, 0 where the text breaks the rules of CSV or is more than one record."""
    try:
        records = list(csv.reader(io.StringIO(record), delimiter=delimiter, strict=True))
    except csv.Error:
        return 0
    return len(records[0]) if len(records) == 1 else 0


def salvage_lines(
    connection: duckdb.DuckDBPyConnection, settings: Settings, path: Path, inspection: Inspection
) -> None:
    """Fill a temp table ``lines`` (_ws_row, line) and set undecodable lines aside in ``unparsed``.

    Raises:
        BrokenFileError: so many undecodable lines that the file is in another encoding.
    """
    connection.execute("CREATE OR REPLACE TEMP TABLE lines (_ws_row BIGINT, line VARCHAR)")
    good, broken = _Batches(connection, "lines", ("_ws_row", "line")), _unparsed(connection)
    undecodable = total = 0
    for number, line, is_whole in numbered_lines(path, inspection.compression, MAX_RECORD_BYTES):
        stripped = line.rstrip(b"\r\n")
        if number == 1:
            stripped = stripped.removeprefix(codecs.BOM_UTF8)
        if not stripped.strip():
            continue
        total += 1
        try:
            if is_whole:
                good.add(number, stripped.decode("utf-8"))
                continue
            reason = "parse:line_too_long"
        except UnicodeDecodeError:
            undecodable += 1
            reason = "parse:invalid_utf8"
        kept = stripped if is_whole else stripped[:MAX_KEPT]
        broken.add(number, reason, kept.decode("utf-8", "backslashreplace"))
    good.flush()
    broken.flush()
    _refuse_other_encoding(undecodable, total)


def _refuse_other_encoding(undecodable: int, total: int) -> None:
    if undecodable > max(1, MAX_UNDECODABLE_SHARE * total):
        raise BrokenFileError(f"encoding: {undecodable} of {total} lines are not UTF-8; deliver UTF-8")
