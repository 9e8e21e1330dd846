"""The gate: one file through its contract, every row accounted for, committed by one rename."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from transforms.contracts import SourceContract
from transforms.contracts.gate_sql import gate_query
from transforms.lake.inspection import BrokenFileError
from transforms.lake.keys import KnownKeys, settle_duplicates
from transforms.lake.landing import LandedFile
from transforms.lake.readers import Staged, stage
from transforms.lake.records import (
    ACCEPTED,
    KEYS,
    QUARANTINE,
    QUARANTINE_COLUMNS,
    FileRecord,
    batch_id,
    commit_batch,
    source_folder,
    write_record,
)
from transforms.settings import Settings
from transforms.sql import columns, literal, raise_if_machine, scalars


@dataclass(frozen=True)
class GateResult:
    """What became of one file."""

    record: FileRecord
    new_columns: tuple[str, ...] = ()
    absent_columns: tuple[str, ...] = ()
    reasons: dict[str, int] = field(default_factory=dict)


def gate_file(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: SourceContract,
    file: LandedFile,
    known: KnownKeys,
    loaded_at: dt.datetime,
) -> GateResult:
    """Check a landed file and commit its batch: accepted rows, quarantine, record.

    A file that cannot be taken as a whole is committed as rejected, with its reason and no rows. The batch appears
    in the lake by one rename, so that a kill leaves either nothing or all of it.
    """
    batch = batch_id(contract, file)
    temporary = settings.scratch / f"batch-{os.getpid()}-{batch}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        staged = stage(connection, settings, contract, file)
        _check(connection, contract, staged, file)
        settle_duplicates(connection, contract, known)
        result = _write(connection, contract, staged, file, batch, loaded_at, temporary)
        if not result.record.balances:
            raise BrokenFileError(f"accounting: {result.record}")
    except BrokenFileError as error:
        shutil.rmtree(temporary)
        temporary.mkdir()
        result = GateResult(rejected(contract, file, batch, str(error), loaded_at))
    write_record(temporary, result.record)
    commit_batch(temporary, source_folder(settings, contract) / batch)
    if result.record.status == "loaded":
        known.add(connection, source_folder(settings, contract) / batch)
    return result


def rejected(contract: SourceContract, file: LandedFile, batch: str, reason: str, loaded_at: dt.datetime) -> FileRecord:
    """Record of a file that was refused as a whole: nothing of it was read as rows."""
    return FileRecord(
        contract.name, contract.entity.name, file.name, file.sha256, batch, 0, 0, 0, 0, "rejected", reason, loaded_at
    )


def _check(connection: duckdb.DuckDBPyConnection, contract: SourceContract, staged: Staged, file: LandedFile) -> None:
    """Fill the temp table ``gated``: canonical columns, reasons, and a status that the key check completes."""
    try:
        query = gate_query(connection, contract, staged.raw, file.received_at.replace(tzinfo=None).isoformat())
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE gated AS SELECT *, CAST(NULL AS VARCHAR) AS _duplicate FROM ({query})"
        )
    except duckdb.Error as error:
        raise_if_machine(error)
        text = str(error).splitlines()[0]
        raise BrokenFileError(f"contract: {text}; mend the file, or the expressions of {contract.file.name}") from error


def _write(
    connection: duckdb.DuckDBPyConnection,
    contract: SourceContract,
    staged: Staged,
    file: LandedFile,
    batch: str,
    loaded_at: dt.datetime,
    folder: Path,
) -> GateResult:
    stamps = (
        f"{literal(contract.name)} AS _source, {literal(file.name)} AS _file, _row, {literal(batch)} AS _batch_id,"
        f" CAST({literal(loaded_at.replace(tzinfo=None).isoformat())} AS TIMESTAMP) AS _loaded_at"
    )
    entity_columns = [column.name for column in contract.entity.columns]
    connection.execute(
        f"COPY (SELECT {columns(entity_columns)}, {stamps}, _extra FROM gated"
        f" WHERE _reasons IS NULL AND _duplicate IS NULL ORDER BY _row)"
        f" TO {literal(folder / ACCEPTED)} (FORMAT parquet, COMPRESSION zstd)"
    )
    connection.execute(
        "COPY (SELECT _key_hash FROM gated_keys SEMI JOIN"
        " (SELECT _row FROM gated WHERE _reasons IS NULL AND _duplicate IS NULL) USING (_row))"
        f" TO {literal(folder / KEYS)} (FORMAT parquet, COMPRESSION zstd)"
    )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE refused AS
        SELECT g._row, coalesce(g._reasons, g._duplicate) AS reasons, r._payload AS raw
        FROM (SELECT _ws_row AS _ws_line, {staged.raw.payload} AS _payload FROM {staged.raw.name}) AS r
        JOIN (SELECT _row, _reasons, _duplicate FROM gated
              WHERE _reasons IS NOT NULL OR _duplicate = 'duplicate_key') AS g ON g._row = r._ws_line
        UNION ALL SELECT _ws_row, reason, payload FROM {staged.unparsed}
        """
    )
    stage_of = (
        "CASE WHEN reasons LIKE 'parse:%' THEN 'parse' WHEN reasons LIKE '%type:%' THEN 'type'"
        " WHEN reasons = 'duplicate_key' THEN 'key' ELSE 'rule' END"
    )
    refused = (
        f"SELECT {literal(contract.entity.name)} AS entity, {stamps}, {stage_of} AS stage, reasons, raw FROM refused"
    )
    connection.execute(
        f"COPY (SELECT {columns(list(QUARANTINE_COLUMNS))} FROM ({refused}) ORDER BY _row)"
        f" TO {literal(folder / QUARANTINE)} (FORMAT parquet, COMPRESSION zstd)"
    )
    moment = columns([contract.entity.occurred_at])
    accepted, duplicate, first, last, quarantined = scalars(
        connection,
        f"""
        SELECT count(*) FILTER (good), count(*) FILTER (_duplicate = 'duplicate'),
               min({moment}) FILTER (good), max({moment}) FILTER (good), (SELECT count(*) FROM refused)
        FROM (SELECT *, _reasons IS NULL AND _duplicate IS NULL AS good FROM gated)
        """,
    )
    reasons = dict(
        connection.execute(
            "SELECT reason, count(*) FROM (SELECT unnest(string_split(reasons, '; ')) AS reason FROM refused)"
            " GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    )
    record = FileRecord(
        source=contract.name,
        entity=contract.entity.name,
        file=file.name,
        file_sha256=file.sha256,
        batch_id=batch,
        rows_read=staged.rows,
        rows_accepted=accepted,
        rows_quarantined=quarantined,
        rows_duplicate=duplicate,
        status="loaded",
        reason=None,
        loaded_at=loaded_at,
        first_occurred_at=first,
        last_occurred_at=last,
    )
    return GateResult(record, staged.new_columns, staged.absent_columns, reasons)
