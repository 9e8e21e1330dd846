"""Parquet: typed columns, read in place."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from transforms.contracts import SourceContract
from transforms.contracts.gate_sql import RawTable
from transforms.lake.inspection import BrokenFileError
from transforms.lake.landing import LandedFile
from transforms.lake.readers import Staged
from transforms.lake.readers.drift import compare_columns, extra_json, refuse_reserved
from transforms.sql import identifier, literal, raise_if_machine


def stage(connection: duckdb.DuckDBPyConnection, contract: SourceContract, file: LandedFile) -> Staged:
    """Stage a Parquet file.

    Raises:
        BrokenFileError: the footer or a page is damaged, a required column is missing.
    """
    try:
        rows = pq.read_metadata(file.path).num_rows
    except (pa.ArrowException, OSError) as error:
        raise BrokenFileError(f"parquet: {error}") from error
    source = f"read_parquet({literal(file.path)}, file_row_number = true)"
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    except duckdb.Error as error:
        raise_if_machine(error)
        raise BrokenFileError(f"parquet: {error}") from error
    types = {row[0]: str(row[1]) for row in described if row[0] != "file_row_number"}
    refuse_reserved(types)
    new, absent = compare_columns(contract, types)
    connection.execute("CREATE OR REPLACE TEMP TABLE unparsed (_ws_row BIGINT, reason VARCHAR, payload VARCHAR)")
    connection.execute("DROP VIEW IF EXISTS raw_file")
    connection.execute(f"CREATE TEMP VIEW raw_file AS SELECT file_row_number + 1 AS _ws_row, * FROM {source}")
    fields = ", ".join(f"{literal(name)}, {identifier(name)}" for name in types)
    raw = RawTable("raw_file", types, f"CAST(json_object({fields}) AS VARCHAR)", extra_json(new))
    return Staged(raw, rows, "unparsed", new, absent)
