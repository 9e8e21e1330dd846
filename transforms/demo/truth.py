"""The planted truth as files; only tests and the score at the end of a demo run read it.

- ``people.parquet``: one row per person, with parameters, names and counts (people.py, ``truth_of``).
- ``records.parquet``: one row per good record of the files, in its last version: source, record_id as staging makes
  it, person_id (null for nobody), is_scored (names its person by something that is theirs alone; see scoring.py).
- ``dirt.parquet``: what the gate should refuse or count as double (``write_dirt``).
- ``population.json``: the population parameters (company.py).
- ``company.json``: recipe and files, so that an identical company is not written twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from transforms.demo import almanac
from transforms.demo.block import Plan
from transforms.demo.dirt import UNCHANGED

DIRT_SCHEMA = {
    "source": pl.String,
    "kind": pl.String,
    "outcome": pl.String,
    "reason": pl.String,
    "file": pl.String,
    "rows": pl.Int64,
}


def write_table(target: Path, parts: Iterable[Path], dictionary: list[str]) -> None:
    """Write spilt parts as one Parquet file, in order, holding one part in memory at a time."""
    unfinished = target.with_name(f".{target.name}.tmp")
    writer: pq.ParquetWriter | None = None
    try:
        for part in parts:
            table = pl.read_ipc(part).to_arrow(compat_level=pl.CompatLevel.oldest())
            writer = writer or pq.ParquetWriter(
                unfinished,
                table.schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=dictionary,  # pyright: ignore[reportArgumentType] - takes column names too
            )
            writer.write_table(table, row_group_size=122_880)
    finally:
        if writer:
            writer.close()
    unfinished.replace(target)


def write_dirt(target: Path, planted: pl.DataFrame) -> int:
    """Write truth/dirt.parquet (one row per source, kind, outcome, reason and file); returns the planted rows.

    ``outcome`` is what the gate should do: quarantined (with ``reason``), duplicate, replayed (the file's
    bytes came before), rejected (the whole file) or unchanged (a snapshot's rows that are as they were: duplicates
    too, but no dirt, and not counted). ``file`` is null for kinds that are strewn over all files.
    """
    keys = ["source", "kind", "outcome", "reason", "file"]
    table = planted.select(pl.col(name).cast(kind) for name, kind in DIRT_SCHEMA.items())
    table = table.group_by(keys).agg(pl.col("rows").sum()).sort(keys, nulls_last=True)
    unfinished = target.with_name(f".{target.name}.tmp")
    table.write_parquet(unfinished, compression="zstd")
    unfinished.replace(target)
    return int(table.filter(pl.col("outcome") != UNCHANGED)["rows"].sum())


def write_json(target: Path, content: object) -> None:
    """Write JSON in one step."""
    unfinished = target.with_name(f".{target.name}.tmp")
    unfinished.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    unfinished.replace(target)


def population(plan: Plan) -> dict[str, object]:
    """Content of truth/population.json."""
    return {
        "people": plan.people,
        "seed": plan.seed,
        "first_day": almanac.FIRST_DAY.isoformat(),
        "last_day": almanac.LAST_DAY.isoformat(),
        "time_zone": almanac.ZONE,
        "currency": "EUR",
        "kiosks": plan.kiosks,
        "cashier_cards": plan.cashier_cards,
        "house_devices": plan.house_devices,
        "parameters": plan.company.as_dict(),
    }
