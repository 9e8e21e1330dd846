"""From rows to files: the physical form of each source, spilt by file and block, merged at the end."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from transforms.demo import (
    assortment,
    crm,
    hotline,
    opinions,
    preferences,
    return_desk,
    surveys,
    tickets,
    tills,
    visits,
)
from transforms.demo.almanac import DAY, months, quarters, weeks
from transforms.demo.dirt import KINDS
from transforms.demo.randomness import Ints

_GZIP_LEVEL = 3
"""Level 6 takes twice the time for a tenth less."""


@dataclass(frozen=True)
class Form:
    """Physical form of a source's files. ``line`` is None for Parquet, whose columns stay typed."""

    source: str
    ending: str
    periods: Callable[[], tuple[Ints, list[str]]]
    line: pl.Expr | None
    header: str = ""

    @property
    def names(self) -> list[str]:
        """File names by period."""
        return [f"{self.source}_{period}{self.ending}" for period in self.periods()[1]]


def _delimited(columns: list[str], delimiter: str) -> pl.Expr:
    return pl.concat_str([pl.col(column).fill_null("") for column in columns], separator=delimiter)


def _json() -> pl.Expr:
    """One JSON object; a key without a value is left out, as trackers do. No value needs escaping.

    An expression that is null for a missing value drops out of the whole line, with its key.
    """
    known = pl.col("user").is_not_null()
    return pl.concat_str(
        pl.lit('{"id":"'), "id", pl.lit('"'),
        *_member("ts"), *_member("name"), *_member("channel"),
        pl.lit(',"device":{"id":"'), "device", pl.lit('","os":"'), "platform", pl.lit('"}'),
        *_member("user", ',"user":{"id":"'), *_member("loyalty"), *_member("email"), *_member("phone"),
        pl.when(known).then(pl.lit("}")),
        *_member("session"),
        pl.lit(',"ctx":{"page":"'), "page", pl.lit('"'),
        *_member("sku"), *_member("order"), *_member("campaign"),
        pl.lit("}}"),
        ignore_nulls=True,
    )  # fmt: skip


def _member(column: str, opening: str | None = None) -> list[pl.Expr]:
    given = pl.col(column).is_not_null()
    start = opening or f',"{column}":"'
    return [pl.when(given).then(pl.lit(start)), pl.col(column), pl.when(given).then(pl.lit('"'))]


FORMS = {
    form.source: form
    for form in (
        Form("pos_sales", ".csv.gz", months, _delimited(tills.COLUMNS, ";"), ";".join(tills.COLUMNS)),
        Form("web_orders", ".parquet", months, None),
        Form("app_events", ".jsonl.gz", weeks, _json()),
        Form("store_visits", ".csv", months, _delimited(visits.COLUMNS, ","), ",".join(visits.COLUMNS)),
        Form("hotline_calls", ".csv", months, _delimited(hotline.COLUMNS, ","), ",".join(hotline.COLUMNS)),
        Form("crm_profiles", ".csv", months, _delimited(crm.COLUMNS, ";"), ";".join(crm.COLUMNS)),
        Form("consents", ".jsonl", quarters, preferences.LINE),
        Form("campaign_messages", ".parquet", months, None),
        Form("surveys", ".csv", quarters, _delimited(surveys.COLUMNS, ";"), ";".join(surveys.COLUMNS)),
        Form("service_cases", ".jsonl.gz", months, tickets.LINE),
        Form("returns_desk", ".csv", quarters, _delimited(return_desk.COLUMNS, ","), ",".join(return_desk.COLUMNS)),
        Form("product_reviews", ".jsonl", quarters, opinions.LINE),
        Form(
            "product_catalogue", ".csv.gz", quarters, _delimited(assortment.COLUMNS, ";"), ";".join(assortment.COLUMNS)
        ),
    )
}


def formed(form: Form, frame: pl.DataFrame) -> pl.DataFrame:
    """What goes into the files (``line`` or the typed columns), with ``_at`` and ``_plain``."""
    if form.line is None:
        return frame.drop("_record_id", "_person", "_usable", "_kind")
    line = form.line
    lines = frame.select(line.alias("line"), "_at", "_plain", "_kind")
    for kind in KINDS[form.source]:
        if kind.cut is not None:
            hit = pl.col("_kind") == kind.name
            lines = lines.with_columns(pl.when(hit).then(kind.cut(pl.col("line"))).otherwise("line").alias("line"))
    return lines.drop("_kind")


def spill(folder: Path, form: Form, frame: pl.DataFrame, block: int) -> None:
    """Write a block's rows of one source, one file for each period that has any."""
    period_of_day, names = form.periods()[0], form.names
    period = pl.Series("_period", period_of_day[frame["_at"].to_numpy() // DAY])
    ordered = formed(form, frame).with_columns(period).sort("_period", "_at", maintain_order=True)
    for (number,), part in ordered.partition_by("_period", as_dict=True, include_key=False).items():
        target = folder / form.source / names[int(str(number))]
        target.mkdir(parents=True, exist_ok=True)
        part.write_ipc(target / f"{block:05d}.arrow", compression="uncompressed")


def merged(folder: Path, form: Form, name: str) -> pl.DataFrame:
    """Rows of one file from all blocks, by time; empty where no block has any."""
    parts = sorted((folder / form.source / name).glob("*.arrow"))
    frames = [pl.read_ipc(part) for part in parts]
    if len(frames) < 2:
        return frames[0] if frames else pl.DataFrame()
    return pl.concat(frames).sort("_at", maintain_order=True)


def encoded(form: Form, frame: pl.DataFrame) -> bytes:
    """Bytes of a file: the same for the same rows."""
    buffer = io.BytesIO()
    if form.line is None:
        frame.drop("_at", "_plain").write_parquet(buffer, compression="zstd", statistics=True, row_group_size=122_880)
        return buffer.getvalue()
    if form.header:
        buffer.write(form.header.encode() + b"\n")
    frame.select("line").write_csv(buffer, include_header=False, quote_style="never")
    data = buffer.getvalue()
    # a time stamp in the gzip header would make every run's bytes differ
    return gzip.compress(data, compresslevel=_GZIP_LEVEL, mtime=0) if form.ending.endswith(".gz") else data


def place(target: Path, data: bytes) -> str:
    """Put a file in its place in one step; returns its SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.tmp")
    unfinished.write_bytes(data)
    unfinished.replace(target)
    return hashlib.sha256(data).hexdigest()
