"""The lake's own bookkeeping: one record per file, and where things lie."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.contracts import Entity, SourceContract
from transforms.lake.landing import LandedFile
from transforms.settings import Settings

ACCEPTED, QUARANTINE, RECORD, KEYS = "accepted.parquet", "quarantine.parquet", "record.parquet", "keys.parquet"
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
        ("status", pa.string()),
        ("reason", pa.string()),
        ("loaded_at", pa.timestamp("us")),
        ("first_occurred_at", pa.timestamp("us")),
        ("last_occurred_at", pa.timestamp("us")),
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


@dataclass(frozen=True)
class FileRecord:
    """Account of one file: read = accepted + quarantined + duplicate. ``status``: loaded, rejected or replayed."""

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

    @property
    def balances(self) -> bool:
        """Law 1: no row is lost."""
        return self.rows_read == self.rows_accepted + self.rows_quarantined + self.rows_duplicate


def source_folder(settings: Settings, contract: SourceContract) -> Path:
    """Folder of a source's batches."""
    return settings.lake / contract.entity.name / contract.name


def batch_id(contract: SourceContract, file: LandedFile) -> str:
    """Name of the batch that a file makes under a contract: the same for the same bytes, path and contract."""
    place = hashlib.sha256(file.name.encode()).hexdigest()[:6]
    return f"{file.sha256[:16]}-{place}-{contract.fingerprint}"


def write_record(folder: Path, record: FileRecord) -> None:
    """Write a file's record into its batch folder."""
    pq.write_table(pa.Table.from_pylist([asdict(record)], schema=RECORD_SCHEMA), folder / RECORD)


def commit_batch(temporary: Path, target: Path) -> None:
    """Make a finished batch visible by one rename."""
    for path in (*temporary.iterdir(), temporary):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.rename(target)
    except OSError:
        # Somebody committed the same batch in the meantime; the bytes are the same.
        if not target.is_dir():
            raise
        shutil.rmtree(temporary)


def read_record(folder: Path) -> FileRecord:
    """Read the record of a batch folder."""
    row = pq.read_table(folder / RECORD, schema=RECORD_SCHEMA).to_pylist()[0]
    return FileRecord(**{field.name: row[field.name] for field in fields(FileRecord)})


def ensure_empty_batch(settings: Settings, entity: Entity) -> None:
    """Make sure that ``lake/<entity>/_none/_none`` holds empty files of the entity's present schema."""
    from transforms.sql import identifier, literal, scratch_connection

    folder = settings.lake / entity.name / NONE / NONE
    temporary = settings.scratch / f"empty-{os.getpid()}-{entity.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    with scratch_connection(settings) as connection:
        for name, columns in ((ACCEPTED, accepted_columns(entity)), (QUARANTINE, QUARANTINE_COLUMNS)):
            nulls = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(column)}" for column, kind in columns.items())
            connection.execute(f"COPY (SELECT {nulls} WHERE false) TO {literal(temporary / name)} (FORMAT parquet)")
    pq.write_table(RECORD_SCHEMA.empty_table(), temporary / RECORD)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (ACCEPTED, QUARANTINE, RECORD):
        (temporary / name).replace(folder / name)
    shutil.rmtree(temporary)


def drop_former_sources(settings: Settings, entity: Entity, sources: Iterable[str]) -> list[str]:
    """Take out of the lake what no contract feeds into the entity any more; returns the names of those sources.

    The rows of a source that was renamed would else count twice. Its bytes stay in the landing folder.
    """
    current = {NONE, *sources}
    folder = settings.lake / entity.name
    former = sorted(path for path in folder.iterdir() if path.name not in current) if folder.is_dir() else []
    for path in former:
        # One rename, so that a kill leaves all of them or none.
        doomed = settings.scratch / f"former-{os.getpid()}-{path.name}"
        shutil.rmtree(doomed, ignore_errors=True)
        settings.scratch.mkdir(parents=True, exist_ok=True)
        path.rename(doomed)
        shutil.rmtree(doomed)
    return [path.name for path in former]


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
