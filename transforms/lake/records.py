"""The lake's own bookkeeping: one record per file, and where things lie."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from transforms.contracts import Entity, SourceContract
from transforms.durability import sync
from transforms.lake.landing import LandedFile
from transforms.settings import Settings

ACCEPTED, QUARANTINE, RECORD = "accepted.parquet", "quarantine.parquet", "record.parquet"
SUPERSEDED = "superseded.parquet"
# Folder of empty files, so that readers' globs always find the schema.
NONE = "_none"

RECORD_SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("entity", pa.string()),
        ("file", pa.string()),
        ("file_sha256", pa.string()),
        ("batch_id", pa.string()),
        ("rows_read", pa.int64()),
        ("rows_accepted", pa.int64()),
        ("rows_quarantined", pa.int64()),
        ("rows_duplicate", pa.int64()),
        ("rows_released", pa.int64()),
        ("rows_replaced", pa.int64()),
        ("rows_deleted", pa.int64()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("loaded_at", pa.timestamp("us")),
        ("first_occurred_at", pa.timestamp("us")),
        ("last_occurred_at", pa.timestamp("us")),
        ("new_columns", pa.list_(pa.string())),
        ("absent_columns", pa.list_(pa.string())),
        ("column_types", pa.list_(pa.struct([("name", pa.string()), ("type", pa.string())]))),
    ]
)
QUARANTINE_COLUMNS = {
    "entity": "VARCHAR",
    "_source": "VARCHAR",
    "_file": "VARCHAR",
    "_row": "BIGINT",
    "_batch_id": "VARCHAR",
    "_loaded_at": "TIMESTAMP",
    "stage": "VARCHAR",
    "reasons": "VARCHAR",
    "raw": "VARCHAR",
}
# Accepted rows that do not count from ``_from_at`` on and until ``_until_at`` (UTC), by _kind:
# replaced, deleted (history since that moment, by a newer version of the key or by a snapshot without it);
# predated (history already, and by a version that came late it is so since an earlier moment);
# awaited (no version of its key before its own moment: what the entity's moment of occurrence does not tell).
# A row may have several; the present state is what has none but awaited.
SUPERSEDED_COLUMNS = {
    "_batch_id": "VARCHAR",
    "_row": "BIGINT",
    "_kind": "VARCHAR",
    "_superseded_by": "VARCHAR",
    "_from_at": "TIMESTAMP",
    "_until_at": "TIMESTAMP",
}


@dataclass(frozen=True)
class FileRecord:
    """Account of one file: read = accepted + quarantined + duplicate.

    ``status``: loaded; rejected (refused as a whole, with its reason); held (too many of its rows break the contract:
    all of them wait in quarantine); replayed (the same bytes came before). ``rows_released`` of the accepted rows were
    let through by a person, ``rows_replaced`` older versions of its keys are history since, ``rows_deleted`` keys were
    gone from the snapshot. ``column_types`` are the physical columns as the file's own types, empty for text formats.
    """

    source: str
    entity: str
    file: str
    file_sha256: str
    batch_id: str
    rows_read: int
    rows_accepted: int
    rows_quarantined: int
    rows_duplicate: int
    status: str
    reason: str | None
    loaded_at: dt.datetime
    first_occurred_at: dt.datetime | None = None
    last_occurred_at: dt.datetime | None = None
    rows_released: int = 0
    rows_replaced: int = 0
    rows_deleted: int = 0
    new_columns: tuple[str, ...] = ()
    absent_columns: tuple[str, ...] = ()
    column_types: tuple[tuple[str, str], ...] = ()

    @property
    def balances(self) -> bool:
        """Law 1: no row is lost."""
        return self.rows_read == self.rows_accepted + self.rows_quarantined + self.rows_duplicate


def source_folder(settings: Settings, contract: SourceContract) -> Path:
    """Folder of a source's batches as readers see it: a link to its present generation."""
    return settings.lake / contract.entity.name / contract.name


def batch_id(contract: SourceContract, file: LandedFile, occurrence: int = 1) -> str:
    """Name of the batch that a file makes under a contract: the same for the same bytes, source, path and contract.

    ``occurrence`` counts how often these bytes have come under this path after others had come in between.
    """
    # Sources of one entity may have the same bytes, paths and rules: their rows must not answer to one name.
    place = hashlib.sha256(f"{contract.name}/{file.name}".encode()).hexdigest()[:12]
    again = f"-{occurrence}" if occurrence > 1 else ""
    return f"{file.sha256[:16]}-{place}-{contract.fingerprint}{again}"


def write_record(folder: Path, record: FileRecord) -> None:
    """Write a file's record into its batch folder."""
    row = asdict(record)
    row["column_types"] = [{"name": name, "type": kind} for name, kind in record.column_types]
    pq.write_table(pa.Table.from_pylist([row], schema=RECORD_SCHEMA), folder / RECORD)


def commit_batch(temporary: Path, target: Path) -> None:
    """Make a finished batch visible by one rename; it is on the disk before the next one, which relies on it."""
    sync(*temporary.iterdir(), temporary)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.rename(target)
    except OSError:
        # Somebody committed the same batch in the meantime; the bytes are the same.
        if not target.is_dir():
            raise
        shutil.rmtree(temporary)
    sync(target.parent)


def read_record(folder: Path) -> FileRecord:
    """Read the record of a batch folder."""
    return read_records([folder])[0]


def read_records(folders: Sequence[Path]) -> list[FileRecord]:
    """Read the records of batch folders, in their order: all in one scan, for there may be thousands."""
    if not folders:
        return []
    table = ds.dataset([str(folder / RECORD) for folder in folders], schema=RECORD_SCHEMA).to_table()
    rows = {row["batch_id"]: row for row in table.to_pylist()}
    return [_record(rows[folder.name]) for folder in folders]


def _record(row: dict[str, Any]) -> FileRecord:
    row["column_types"] = tuple((item["name"], item["type"]) for item in row["column_types"] or ())
    row["new_columns"], row["absent_columns"] = tuple(row["new_columns"] or ()), tuple(row["absent_columns"] or ())
    return FileRecord(**{field.name: row[field.name] for field in fields(FileRecord)})


def ensure_empty_batch(settings: Settings, entity: Entity) -> None:
    """Make sure that ``lake/<entity>/_none/_none`` holds empty files of the entity's present schema."""
    from transforms.sql import identifier, literal, scratch_connection

    folder = settings.lake / entity.name / NONE / NONE
    temporary = settings.scratch / f"empty-{os.getpid()}-{entity.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    with scratch_connection(settings) as connection:
        tables = {
            ACCEPTED: accepted_columns(entity),
            QUARANTINE: QUARANTINE_COLUMNS,
            SUPERSEDED: SUPERSEDED_COLUMNS,
        }
        for name, columns in tables.items():
            nulls = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(column)}" for column, kind in columns.items())
            connection.execute(f"COPY (SELECT {nulls} WHERE false) TO {literal(temporary / name)} (FORMAT parquet)")
    pq.write_table(RECORD_SCHEMA.empty_table(), temporary / RECORD)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*tables, RECORD):
        (temporary / name).replace(folder / name)
    shutil.rmtree(temporary)


def accepted_columns(entity: Entity) -> dict[str, str]:
    """Columns of an accepted batch with their DuckDB types, in order."""
    platform = {
        "_source": "VARCHAR",
        "_file": "VARCHAR",
        "_row": "BIGINT",
        "_batch_id": "VARCHAR",
        "_loaded_at": "TIMESTAMP",
        "_extra": "VARCHAR",
    }
    return {column.name: column.physical_type for column in entity.columns} | platform
