"""Workbooks: .xlsx, .xlsm, .xlsb, .xls, .ods; one sheet, its cells typed, formulas by their last result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import duckdb

from transforms.contracts import FileServer, SourceContract
from transforms.contracts.gate_sql import RawTable
from transforms.lake.inspection import BrokenFileError
from transforms.lake.landing import LandedFile
from transforms.lake.readers import Staged
from transforms.lake.readers.drift import compare_columns, extra_json, refuse_reserved
from transforms.lake.readers.partitions import partition_values
from transforms.settings import Settings
from transforms.sql import identifier, literal, scalars

# A sheet of the greatest height with 20 columns inflates to under 1 GiB and takes 2 GiB to parse.
MAX_INFLATED = 2 << 30
MAX_PARTS = 10_000
MAX_MEMORY = 4 << 30
MAX_SECONDS = 600
MAX_COLUMNS = 2_000
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def stage(
    connection: duckdb.DuckDBPyConnection, settings: Settings, contract: SourceContract, file: LandedFile
) -> Staged:
    """Stage one sheet of a workbook; rows without any value are none.

    Raises:
        BrokenFileError: no workbook, encrypted, damaged, too large when inflated, the sheet or its header missing.
        MemoryError: the system ended the parser for want of memory.
    """
    _inspect(file.path)
    server = contract.server
    sheet, header_row = (server.sheet, server.header_row) if isinstance(server, FileServer) else ("", 1)
    settings.scratch.mkdir(parents=True, exist_ok=True)
    parsed = settings.scratch / f"workbook-{os.getpid()}-{file.sha256[:16]}.parquet"
    try:
        _parse(file.path, sheet, header_row, parsed)
        source = f"read_parquet({literal(parsed)})"
        described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        types = {row[0]: str(row[1]) for row in described if row[0] not in ("_ws_row", "_ws_errors")}
        values = ["_ws_errors", *map(identifier, types)]
        is_empty = " AND ".join(f"{value} IS NULL" for value in values)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE raw_sheet AS FROM {source} WHERE NOT ({is_empty})")
    finally:
        parsed.unlink(missing_ok=True)
    refuse_reserved(types)
    if len(types) > MAX_COLUMNS:
        raise BrokenFileError(f"columns: {len(types):,} in the header, at most {MAX_COLUMNS:,} are read")
    new, absent = compare_columns(contract, types, partition_values(file))
    read = ", ".join(literal(name) for name in contract.physical_columns)
    # Errors in columns that nobody reads, such as the look-ups beside a table, are nobody's business.
    fault = f"CASE WHEN list_has_any(_ws_errors, [{read}]) THEN 'parse:cell_error' END"
    (rows,) = scalars(connection, "SELECT count(*) FROM raw_sheet")
    raw = RawTable("raw_sheet", types, extra=extra_json(new), fault=fault)
    return Staged(raw, None, new, absent, rows)


def _inspect(path: Path) -> None:
    """Look at a workbook without inflating it."""
    with path.open("rb") as stream:
        head = stream.read(len(_OLE))
    if not head:
        raise BrokenFileError("empty: the file has no bytes")
    if head == _OLE:
        if path.suffix.lower() != ".xls":
            raise BrokenFileError(f"excel: encrypted, or an old workbook named {path.suffix}; deliver it unprotected")
        return
    if not head.startswith(b"PK"):
        raise BrokenFileError("excel: the content is no workbook; deliver .xlsx, .xlsb, .xls or .ods")
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BrokenFileError(f"excel: {error}; the file is truncated or damaged") from error
    size = sum(part.file_size for part in parts)
    if size > MAX_INFLATED or len(parts) > MAX_PARTS:
        message = f"inflation: {size:,} bytes in {len(parts):,} parts, allowed are {MAX_INFLATED:,} in {MAX_PARTS:,}"
        raise BrokenFileError(f"{message}; deliver less in one workbook, or Parquet")


def _parse(path: Path, sheet: str, header_row: int, target: Path) -> None:
    """Have the sheet written to a Parquet file by a process with limits of its own."""
    script = Path(__file__).with_name("workbook.py")
    command = [sys.executable, "-I", str(script), str(path), sheet, str(header_row), str(target), str(MAX_MEMORY)]
    reason = Path(f"{target}.reason")
    reason.unlink(missing_ok=True)
    try:
        ended = subprocess.run(command, capture_output=True, timeout=MAX_SECONDS, check=False)
        if reason.exists():
            raise BrokenFileError(f"excel: {reason.read_text(encoding='utf-8')}")
    except subprocess.TimeoutExpired as error:
        raise BrokenFileError(f"excel: not parsed within {MAX_SECONDS} s; deliver less in one workbook") from error
    finally:
        reason.unlink(missing_ok=True)
    if ended.returncode == -signal.SIGKILL:
        raise MemoryError(f"the system ended the parser of {path.name}: too little memory; the next run tries again")
    if ended.returncode:
        lines = ended.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit code {ended.returncode}"]
        is_memory = ended.returncode < 0 or "memory allocation" in lines[-1] or "MemoryError" in lines[-1]
        text = f"it needs more than {MAX_MEMORY >> 30} GB" if is_memory else lines[-1][:200]
        raise BrokenFileError(f"excel: the workbook cannot be parsed: {text}; have it saved anew, or deliver CSV")
