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
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from transforms.contracts import SourceContract
from transforms.contracts.gate_sql import RawTable
from transforms.lake.inspection import BrokenFileError, Inspection, first_line, inspect_text, open_bytes
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
# A table of more columns is no table; DuckDB's plans over it take gigabytes.
MAX_COLUMNS = 2_000
MAX_HEADER_BYTES = 1 << 20
SALVAGE_CHUNK = 100_000
# Python's parser stops at 128 KiB a field, where a long comment may well go on.
csv.field_size_limit(MAX_RECORD_BYTES)


def stage(
    connection: duckdb.DuckDBPyConnection, settings: Settings, contract: SourceContract, file: LandedFile
) -> Staged:
    """Stage a CSV file; see the module's text.

    Raises:
        BrokenFileError: damaged bytes, another encoding, a header that does not fit.
    """
    inspection = inspect_text(file.path)
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
    raw = RawTable(_read_csv(file.path, header, delimiter, inspection.compression, 1), columns, 2, extra=extra)
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


def _read_csv(path: Path, columns: list[str], delimiter: str, compression: str | None, skip: int) -> str:
    types = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in columns)
    return (
        f"read_csv({literal(path)}, columns = {{{types}}}, delim = {literal(delimiter)}, header = false, skip = {skip},"
        f" quote = '\"', escape = '\"', auto_detect = false, strict_mode = true, null_padding = false, nullstr = '',"
        f" store_rejects = true, rejects_limit = 0, max_line_size = {MAX_RECORD_BYTES},"
        f" compression = {literal(compression or 'none')})"
    )


def forget_rejects(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop what DuckDB keeps of records that it could not parse, so that the next file's are the only ones."""
    connection.execute("DROP TABLE IF EXISTS reject_errors")
    connection.execute("DROP TABLE IF EXISTS reject_scans")


def _create(connection: duckdb.DuckDBPyConnection, select: str) -> None:
    forget_rejects(connection)
    connection.execute("CREATE OR REPLACE TEMP TABLE unparsed (_ws_row BIGINT, reason VARCHAR, payload VARCHAR)")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE raw_text AS {select}")


@dataclass(frozen=True)
class _Record:
    line: int
    text: str
    reason: str | None = None


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
    broken: list[_Record] = []
    good = undecodable = 0
    try:
        with numbered.open("w", encoding="utf-8", newline="") as target:
            for record in _records(path, inspection.compression, delimiter, len(header)):
                if record.reason:
                    broken.append(record)
                    undecodable += record.reason == "parse:invalid_utf8"
                    continue
                good += 1
                target.write(f"{record.line}{delimiter}{record.text}\n")
        _refuse_other_encoding(undecodable, good + len(broken))
        names = ["_ws_line", *header]
        _create(
            connection,
            f"SELECT CAST(_ws_line AS BIGINT) AS _ws_row, {column_list(header)}"
            f" FROM {_read_csv(numbered, names, delimiter, None, 0)}",
        )
    except duckdb.Error as error:
        raise_if_machine(error)
        raise BrokenFileError(f"parse: {error}") from error
    finally:
        numbered.unlink(missing_ok=True)
    connection.execute(
        """
        INSERT INTO unparsed
        SELECT CAST(split_part(csv_line, $delimiter, 1) AS BIGINT),
               'parse:' || min(replace(lower(CAST(error_type AS VARCHAR)), ' ', '_')),
               substr(csv_line, instr(csv_line, $delimiter) + 1)
        FROM reject_errors GROUP BY csv_line, line
        """,
        {"delimiter": delimiter},
    )
    for record in broken:
        connection.execute("INSERT INTO unparsed VALUES (?, ?, ?)", [record.line, record.reason, record.text])
    row = scalars(connection, "SELECT (SELECT count(*) FROM raw_text) + (SELECT count(*) FROM unparsed)")
    if row != (good + len(broken),):
        raise BrokenFileError(f"accounting: {good + len(broken)} records in the file, {row[0]} after parsing")


def _records(path: Path, compression: str | None, delimiter: str, width: int) -> Iterator[_Record]:
    """Records of a CSV file after its header, each with its first physical line; blank lines are no records."""
    with open_bytes(path, compression) as stream:
        numbered = enumerate(stream, start=1)
        next(numbered, None)
        waiting: list[tuple[int, bytes]] = []
        while True:
            item = waiting.pop(0) if waiting else next(numbered, None)
            if item is None:
                return
            number, line = item
            stripped = line.rstrip(b"\r\n")
            if not stripped:
                continue
            try:
                text = stripped.decode("utf-8")
            except UnicodeDecodeError:
                yield _Record(number, stripped.decode("utf-8", "backslashreplace"), "parse:invalid_utf8")
                continue
            if text.count('"') % 2 == 0:
                # DuckDB would refuse the whole file for one.
                stray = "\r" in text and not _fields(text, delimiter)
                yield _Record(number, text, "parse:carriage_return" if stray else None)
                continue
            joined = text
            closed = False
            for ahead in range(MAX_LINES_PER_RECORD):
                if ahead >= len(waiting):
                    following = next(numbered, None)
                    if following is None:
                        break
                    waiting.append(following)
                joined += "\n" + waiting[ahead][1].rstrip(b"\r\n").decode("utf-8", "replace")
                if joined.count('"') % 2 == 0:
                    # Strict, because two stray quotes in neighbouring rows would else make one record of the two.
                    closed = _fields(joined, delimiter) == width
                    if closed:
                        del waiting[: ahead + 1]
                    break
            yield _Record(number, joined) if closed else _Record(number, text, "parse:unterminated_quote")


def _fields(record: str, delimiter: str) -> int:
    """Number of fields, 0 where the record breaks the rules of CSV."""
    try:
        return len(next(csv.reader(io.StringIO(record), delimiter=delimiter, strict=True), []))
    except csv.Error:
        return 0


def salvage_lines(
    connection: duckdb.DuckDBPyConnection, settings: Settings, path: Path, inspection: Inspection
) -> None:
    """Fill a temp table ``lines`` (_ws_row, line) and set undecodable lines aside in ``unparsed``.

    Raises:
        BrokenFileError: so many undecodable lines that the file is in another encoding.
    """
    good: list[tuple[int, str]] = []
    connection.execute("CREATE OR REPLACE TEMP TABLE lines (_ws_row BIGINT, line VARCHAR)")
    undecodable = total = 0

    def flush() -> None:
        table = pa.table({"_ws_row": [row for row, _ in good], "line": [line for _, line in good]})
        connection.register("_salvaged", table)
        connection.execute("INSERT INTO lines SELECT CAST(_ws_row AS BIGINT), CAST(line AS VARCHAR) FROM _salvaged")
        connection.unregister("_salvaged")
        good.clear()

    with open_bytes(path, inspection.compression) as stream:
        for number, line in enumerate(stream, start=1):
            stripped = line.rstrip(b"\r\n")
            if number == 1:
                stripped = stripped.removeprefix(codecs.BOM_UTF8)
            if not stripped.strip():
                continue
            total += 1
            try:
                good.append((number, stripped.decode("utf-8")))
            except UnicodeDecodeError:
                undecodable += 1
                text = stripped.decode("utf-8", "backslashreplace")
                connection.execute("INSERT INTO unparsed VALUES (?, 'parse:invalid_utf8', ?)", [number, text])
            if len(good) >= SALVAGE_CHUNK:
                flush()
    flush()
    _refuse_other_encoding(undecodable, total)


def _refuse_other_encoding(undecodable: int, total: int) -> None:
    if undecodable > max(1, MAX_UNDECODABLE_SHARE * total):
        raise BrokenFileError(f"encoding: {undecodable} of {total} lines are not UTF-8; deliver UTF-8")
