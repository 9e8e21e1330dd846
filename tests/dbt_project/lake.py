"""Write a tiny lake and an identity folder, as the gate and the identity run would leave them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import yaml

from transforms.identity import store as identity
from transforms.identity.place import NOBODYS
from transforms.value.store import write_empty_tables

ENTITIES = Path(__file__).resolve().parents[2] / "data_contracts" / "entities"
LOADED_AT = dt.datetime(2025, 7, 1, 3, 0)  # noqa: DTZ001 - the lake holds UTC without a zone

PLATFORM_COLUMNS = {
    "_source": "VARCHAR",
    "_file": "VARCHAR",
    "_row": "BIGINT",
    "_batch_id": "VARCHAR",
    "_loaded_at": "TIMESTAMP",
    "_extra": "VARCHAR",
}
RECORD_COLUMNS = {
    "source": "VARCHAR",
    "entity": "VARCHAR",
    "file": "VARCHAR",
    "file_sha256": "VARCHAR",
    "batch_id": "VARCHAR",
    "rows_read": "BIGINT",
    "rows_accepted": "BIGINT",
    "rows_quarantined": "BIGINT",
    "rows_duplicate": "BIGINT",
    "status": "VARCHAR",
    "reason": "VARCHAR",
    "loaded_at": "TIMESTAMP",
    "first_occurred_at": "TIMESTAMP",
    "last_occurred_at": "TIMESTAMP",
    "rows_released": "BIGINT",
    "rows_replaced": "BIGINT",
    "rows_deleted": "BIGINT",
    "new_columns": "VARCHAR[]",
    "absent_columns": "VARCHAR[]",
}
SUPERSEDED_COLUMNS = {
    "_batch_id": "VARCHAR",
    "_row": "BIGINT",
    "_kind": "VARCHAR",
    "_superseded_by": "VARCHAR",
    "_from_at": "TIMESTAMP",
    "_until_at": "TIMESTAMP",
}
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
Row = Mapping[str, object]


def entity_columns(entity: str) -> dict[str, str]:
    """Canonical columns of an entity with their DuckDB types, read from its contract."""
    contract = yaml.safe_load((ENTITIES / f"{entity}.odcs.yaml").read_text())
    return {column["name"]: column["physicalType"] for column in contract["schema"][0]["properties"]}


def write_parquet(path: Path, columns: Mapping[str, str], rows: Sequence[Row]) -> None:
    """Write rows with exactly these columns; a column that a row lacks is null.

    Raises:
        KeyError: a row holds a column that the file does not have, which is a slip in a fixture.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for row in rows:
        if unknown := set(row) - set(columns):
            raise KeyError(f"{path}: unknown columns {sorted(unknown)}")
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE t ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
        if rows:
            marks = ", ".join("?" for _ in columns)
            con.executemany(f"INSERT INTO t VALUES ({marks})", [[row.get(name) for name in columns] for row in rows])
        con.execute(f"COPY t TO '{path}' (FORMAT parquet)")


def write_batch(
    lake: Path, entity: str, source: str, rows: Sequence[Row], batch: str = "b1", quarantined: int = 0
) -> None:
    """Write one batch: the accepted rows and the record of the one file that they came from."""
    folder = lake / entity / source / batch
    file = f"{source}/{batch}.csv"
    platform = {"_source": source, "_file": file, "_batch_id": batch, "_loaded_at": LOADED_AT}
    write_parquet(
        folder / "accepted.parquet",
        entity_columns(entity) | PLATFORM_COLUMNS,
        [{**row, **platform, "_row": number} for number, row in enumerate(rows, start=2)],
    )
    record = {
        "source": source,
        "entity": entity,
        "file": file,
        "file_sha256": f"sha-{source}-{batch}",
        "batch_id": batch,
        "rows_read": len(rows) + quarantined,
        "rows_accepted": len(rows),
        "rows_quarantined": quarantined,
        "rows_duplicate": 0,
        "rows_released": 0,
        "rows_replaced": 0,
        "rows_deleted": 0,
        "status": "loaded",
        "loaded_at": LOADED_AT,
    }
    write_parquet(folder / "record.parquet", RECORD_COLUMNS, [record])


def write_empty_lake(lake: Path) -> None:
    """Write the empty files that the gate keeps for each entity, so that no glob comes up empty."""
    for contract in sorted(ENTITIES.glob("*.odcs.yaml")):
        entity = contract.name.removesuffix(".odcs.yaml")
        folder = lake / entity / "_none" / "_none"
        write_parquet(folder / "accepted.parquet", entity_columns(entity) | PLATFORM_COLUMNS, [])
        write_parquet(folder / "record.parquet", RECORD_COLUMNS, [])
        write_parquet(folder / "superseded.parquet", SUPERSEDED_COLUMNS, [])
        write_parquet(folder / "quarantine.parquet", QUARANTINE_COLUMNS, [])
    write_identity(lake)
    write_value(lake)


def write_value(lake: Path) -> None:
    """Write the tables of a value run that predicted nothing."""
    run = lake / "value" / "runs" / "test"
    run.mkdir(parents=True, exist_ok=True)
    write_empty_tables(run)
    current = lake / "value" / "current"
    if not current.is_symlink():
        current.symlink_to(Path("runs") / "test", target_is_directory=True)


def write_identity(lake: Path, **tables: Sequence[Row]) -> None:
    """Write the tables of an identity run (assignments, identifiers …); those not given are empty."""
    run = lake / "identity" / "runs" / "test"
    run.mkdir(parents=True, exist_ok=True)
    identity.write_empty_tables(run)
    for name, rows in tables.items():
        placed = name in identity.PARTED
        columns = identity.SCHEMAS[name] | ({"component": "UUID"} if placed else {})
        write_parquet(
            run / f"{name}.parquet",
            columns,
            [dict(row) | ({"component": NOBODYS} if placed else {}) for row in rows],
        )
    current = lake / "identity" / "current"
    if not current.is_symlink():
        current.symlink_to(Path("runs") / "test", target_is_directory=True)
