"""Readers: a landed file as a raw table, plus the records that could not even be parsed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import duckdb

from transforms.contracts import SourceContract
from transforms.contracts.gate_sql import RawTable
from transforms.lake.inspection import TextCount
from transforms.lake.landing import LandedFile
from transforms.settings import Settings

# Fault of a row that the quick way of reading was not made for.
UNFORESEEN = "parse:unforeseen"


@dataclass(frozen=True)
class Staged:
    """A file on the connection.

    ``unparsed`` is a table (_ws_row, reason, payload) of the records that are not in the raw table, None where there
    can be none. ``new_columns`` and ``absent_columns`` are the drift against the contract. ``expected_rows`` is what
    an independent count of the file's bytes says; where the raw table gives another number, cannot be read, or has a
    row with the fault ``UNFORESEEN``, ``reread`` stages the file in the slower way that gets along with damage.
    ``lines`` is the part of the raw table's SQL that stands for the file's lines, each a row (line): where it is given,
    the same lines may come from elsewhere.
    """

    raw: RawTable
    unparsed: str | None = None
    new_columns: tuple[str, ...] = ()
    absent_columns: tuple[str, ...] = ()
    expected_rows: int | None = None
    reread: Callable[[], Staged] | None = None
    lines: str | None = None


def stage(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: SourceContract,
    file: LandedFile,
    counted: TextCount | None = None,
) -> Staged:
    """Read a landed file by its contract's format, with the partitions of its path as columns.

    ``counted`` is what was told of the file's bytes as a text while they came.

    Raises:
        BrokenFileError: the file cannot be taken as a whole.
    """
    from transforms.lake.readers.partitions import read_partitions, with_partitions

    return with_partitions(_read(connection, settings, contract, file, counted), read_partitions(contract, file))


def _read(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: SourceContract,
    file: LandedFile,
    counted: TextCount | None,
) -> Staged:
    from transforms.lake.readers import delimited, excel, json_lines, parquet

    if contract.server.format == "excel":
        return excel.stage(connection, settings, contract, file)
    if contract.server.format == "csv":
        return delimited.stage(connection, settings, contract, file, counted)
    if contract.server.format == "json":
        return json_lines.stage(connection, settings, contract, file, counted)
    return parquet.stage(connection, contract, file)
