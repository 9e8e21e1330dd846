"""Readers: a landed file as a raw table, plus the records that could not even be parsed."""

from __future__ import annotations

from dataclasses import dataclass, field

import duckdb

from transforms.contracts import SourceContract
from transforms.contracts.gate_sql import RawTable
from transforms.lake.landing import LandedFile
from transforms.settings import Settings


@dataclass(frozen=True)
class Staged:
    """A file on the connection.

    ``rows`` counts every record of the file. ``unparsed`` is a table (_ws_row, reason, payload) of the records that
    are not in the raw table, so that ``rows`` = raw rows + unparsed rows. ``new_columns`` and ``absent_columns`` are
    the drift against the contract.
    """

    raw: RawTable
    rows: int
    unparsed: str
    new_columns: tuple[str, ...] = field(default=())
    absent_columns: tuple[str, ...] = field(default=())


def stage(
    connection: duckdb.DuckDBPyConnection, settings: Settings, contract: SourceContract, file: LandedFile
) -> Staged:
    """Read a landed file by its contract's format.

    Raises:
        BrokenFileError: the file cannot be taken as a whole.
    """
    from transforms.lake.readers import delimited, json_lines, parquet

    if contract.server.format == "csv":
        return delimited.stage(connection, settings, contract, file)
    if contract.server.format == "json":
        return json_lines.stage(connection, settings, contract, file)
    return parquet.stage(connection, contract, file)
