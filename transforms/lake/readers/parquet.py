"""Parquet: typed columns, read in place."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from transforms.contracts import SourceContract
from transforms.contracts.gate_sql import RawTable
from transforms.lake.inspection import BrokenFileError, refuse_swollen
from transforms.lake.landing import LandedFile
from transforms.lake.readers import Staged
from transforms.lake.readers.drift import compare_columns, extra_json, refuse_reserved
from transforms.lake.readers.partitions import partition_values
from transforms.sql import literal, raise_if_machine


def stage(connection: duckdb.DuckDBPyConnection, contract: SourceContract, file: LandedFile) -> Staged:
    """Stage a Parquet file.

    Raises:
        BrokenFileError: the footer or a page is damaged, a required column is missing.
    """
    try:
        rows = pq.read_metadata(file.path).num_rows
    except (pa.ArrowException, OSError) as error:
        raise BrokenFileError(f"parquet: {error}") from error
    refuse_swollen(file.path, rows)
    source = f"read_parquet({literal(file.path)})"
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    except duckdb.Error as error:
        raise_if_machine(error)
        raise BrokenFileError(f"parquet: {error}") from error
    types = {row[0]: str(row[1]) for row in described}
    refuse_reserved(types)
    new, absent = compare_columns(contract, types, partition_values(file))
    return Staged(RawTable(source, types, 1, extra=extra_json(new)), None, new, absent, rows)
