"""One sheet of a workbook as a Parquet file, in a process of its own: run by ``excel.py``, never imported.

A workbook of a few kilobytes can ask for any amount of memory (a cell far out, a row that repeats a million times)
and the parser then aborts the whole process. Here it takes down only this one, which has a limit.

Arguments: workbook, sheet (empty: the only visible one), row of the names (from 1), Parquet file to write, bytes of
memory. What is wrong with the workbook goes as one line into ``<Parquet file>.reason``.

The Parquet file has a row for each row below the header: ``_ws_row`` (number in the sheet), ``_ws_errors`` (names of
the columns whose cell is an error such as #DIV/0!), and the columns, each typed by all its cells: whole numbers,
numbers, moments, truth values; text as soon as one cell is text. Durations are text, ``30:02:00``.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from pathlib import Path
from typing import Any

import fastexcel
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# Beyond this, a number in a cell is no longer exact to the unit.
EXACT = 2**53


class WorkbookError(Exception):
    """The workbook cannot be read as the contract says."""


def main(path: str, sheet: str, header_row: int, target: str, memory: int) -> None:
    """Read the sheet and write the Parquet file, or the reason why not."""
    logging.disable(logging.CRITICAL)
    _limit_memory(memory)
    try:
        pq.write_table(read_sheet(path, sheet, header_row), target, compression="zstd")
    except (WorkbookError, fastexcel.FastExcelError, pa.ArrowException, MemoryError) as error:
        text = " ".join(str(error).split("Context:")[0].split()) or "it needs more memory than a workbook may"
        Path(f"{target}.reason").write_text(text, encoding="utf-8")


def _limit_memory(memory: int) -> None:
    # Not every system has such limits; the workbook's size is limited there too, by its directory.
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        used = pages * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))


def read_sheet(path: str, sheet: str, header_row: int) -> pa.Table:
    """The table that ``main`` writes."""
    reader = fastexcel.read_excel(path)
    name = _choose(reader, sheet)
    header = _header(reader, name, header_row)
    batch, errors = _data(reader, name, header_row)
    names = list(header)
    columns: dict[str, pa.Array] = {}
    for position, label in enumerate(names):
        column = batch.column(position) if position < batch.num_columns else pa.nulls(batch.num_rows)
        # A column without a name and without a value is only formatted.
        if label or column.null_count < len(column):
            columns[label or f"column{position + 1}"] = _plain(column)
    failed: list[list[str] | None] = [None] * batch.num_rows
    for row, position in errors:
        failed[row] = [*(failed[row] or []), names[position] or f"column{position + 1}"]
    first = header_row + 1
    return pa.table(
        {
            "_ws_row": pa.array(range(first, first + batch.num_rows), pa.int64()),
            "_ws_errors": pa.array(failed, pa.list_(pa.string())),
            **columns,
        }
    )


def _choose(reader: fastexcel.ExcelReader, sheet: str) -> str:
    names = reader.sheet_names
    if sheet:
        if sheet not in names:
            raise WorkbookError(f"there is no sheet '{sheet}'; the workbook has {', '.join(map(repr, names))}")
        return sheet
    if len(names) == 1:
        return names[0]
    visible = [
        n for n in names if reader.load_sheet(n, header_row=None, n_rows=1, dtypes="string").visible == "visible"
    ]
    if len(visible) != 1:
        shown = ", ".join(map(repr, visible or names))
        raise WorkbookError(f"{len(visible)} visible sheets ({shown}); name one as 'sheet' in the contract")
    return visible[0]


def _header(reader: fastexcel.ExcelReader, sheet: str, row: int) -> list[str]:
    loaded = reader.load_sheet(sheet, header_row=None, skip_rows=row - 1, n_rows=1, dtypes="string")
    batch = loaded.to_arrow()
    names = [str(column[0].as_py() or "") for column in batch.columns] if batch.num_rows else []
    if not any(name.strip() for name in names):
        raise WorkbookError(f"row {row} of sheet '{sheet}' is empty; name the row of the columns as 'headerRow'")
    lowered = [name.lower() for name in names if name]
    twice = sorted({name for name in names if lowered.count(name.lower()) > 1})
    if twice:
        raise WorkbookError(f"columns {', '.join(map(repr, twice))} more than once in row {row}")
    return names


def _data(reader: fastexcel.ExcelReader, sheet: str, header_row: int) -> tuple[pa.RecordBatch, list[tuple[int, int]]]:
    """The rows below the header, and (row, column) of the cells that are errors, both from 0."""
    texts: dict[str | int, Any] = {}
    while True:
        try:
            loaded = reader.load_sheet(
                sheet, header_row=None, skip_rows=header_row, schema_sample_rows=None, dtypes=texts or None
            )
            break
        except fastexcel.UnsupportedColumnTypeCombinationError as error:
            # A column of kinds that have nothing in common, such as moments and durations: as text it keeps them all.
            column = re.search(r"for column (\S+)", str(error))
            if column is None or column[1] in texts:
                raise
            texts[column[1]] = "string"
    batch, errors = loaded.to_arrow_with_errors()
    return batch, [error.offset_position for error in errors.errors] if errors else []


def _plain(column: pa.Array) -> pa.Array:
    if pa.types.is_null(column.type):
        return column.cast(pa.string())
    if pa.types.is_floating(column.type):
        values = column.drop_null().to_numpy(zero_copy_only=False)
        # An id is no fraction: as 4711.0 it would name nobody.
        is_whole = bool(((values == np.floor(values)) & (np.abs(values) < EXACT)).all())
        return column.cast(pa.int64()) if is_whole else column
    if pa.types.is_duration(column.type):
        return pa.array([_clock(value) for value in column.cast(pa.int64()).to_pylist()], pa.string())
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us"))
    return column


def _clock(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    sign, rest = ("-", -milliseconds) if milliseconds < 0 else ("", milliseconds)
    seconds, fraction = divmod(rest, 1_000)
    text = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:03}" if fraction else text


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
