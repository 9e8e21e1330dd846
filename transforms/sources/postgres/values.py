"""Values that the driver cannot carry: its arithmetic runs over, and infinity comes as a day before the mammoths."""

from __future__ import annotations

import pyarrow as pa
from pyarrow.compute import call_function

# PostgreSQL counts from 2000, Arrow from 1970. The driver adds the distance without a look at the end of the numbers.
_DAYS, _MICROSECONDS = 10_957, 946_684_800_000_000
# Nothing that PostgreSQL knows lies before 4714 BC; what does has run over.
_FIRST_DAY, _FIRST_MICROSECOND = -2_440_588, -210_866_803_200_000_000


def with_infinity(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with its infinite times as Parquet's readers know them, which no rule takes for a date."""
    for index, field in enumerate(batch.schema):
        column = batch.column(index)
        if pa.types.is_timestamp(field.type):
            mended = _mended(column, pa.int64(), _FIRST_MICROSECOND, _MICROSECONDS)
            batch = batch.set_column(index, field, mended)
        elif pa.types.is_date32(field.type):
            batch = batch.set_column(index, field, _mended(column, pa.int32(), _FIRST_DAY, _DAYS))
    return batch


def _mended(column: pa.Array, whole: pa.DataType, first: int, distance: int) -> pa.Array:
    numbers = column.view(whole)
    lowest = call_function("min", [numbers]).as_py()
    if lowest is None or lowest >= first:
        return column
    highest = (1 << (whole.bit_width - 1)) - 1
    is_negative = call_function("equal", [numbers, pa.scalar(distance - highest - 1, whole)])
    # A moment of the year 294276 has run over too; it is as far from any that a rule takes.
    infinite = call_function("if_else", [is_negative, pa.scalar(-highest, whole), pa.scalar(highest, whole)])
    has_run_over = call_function("less", [numbers, pa.scalar(first, whole)])
    return call_function("if_else", [has_run_over, infinite, numbers]).view(column.type)
