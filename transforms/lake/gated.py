"""Where a file's rows are between their check and their commit: in memory, or in a file where they would not fit.

DuckDB would bring them to disk itself, but as they are. As Parquet they are a tenth of that, each column is read for
itself, and they are written as fast as the rows that the lake takes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import duckdb

from transforms.contracts.gate_sql import GateQuery, RawTable
from transforms.settings import Settings
from transforms.sql import identifier, literal, scalars

# What DuckDB needs in memory for a value, of texts those of up to 12 characters.
_VALUE_BYTES = 16
# Beyond this share of the memory limit a file's rows are kept on disk.
_MEMORY_SHARE = 0.75
# Columns of many values gain nothing from a dictionary, and finding that out late costs a third of the time.
PARQUET = "FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION V2, DICTIONARY_SIZE_LIMIT 1000"
# Hashes have nothing in them to be compressed, and row numbers are short as they are.
KEYS_PARQUET = "FORMAT parquet, COMPRESSION uncompressed, PARQUET_VERSION V2, DICTIONARY_SIZE_LIMIT 1"
# Read twice and thrown away: a twentieth less time than the other to write, for a tenth more space.
_PASSING_PARQUET = f"{PARQUET}, COMPRESSION_LEVEL 1, USE_TMP_FILE false"


@dataclass(frozen=True)
class GatedRows:
    """The rows of one file at a time, as two views.

    ``gated_rows`` has the columns of the gate's query that are not the same in all rows, ``gated`` all of them and
    ``_row``.
    """

    connection: duckdb.DuckDBPyConnection
    settings: Settings

    def keep(self, rows: str, values: int) -> None:
        """Keep the rows of a query, which are to have about so many values in all."""
        self.drop()
        # Rows keep the order of the file, so that a row's place here is its place there. As a join, which DuckDB makes
        # of a longer IN list, they would come out in the order in which threads are ready.
        self.connection.execute("SET disabled_optimizers = 'in_clause'")
        if self._fits(values):
            self.connection.execute(f"CREATE TEMP TABLE rows_in_memory AS {rows}")
        else:
            self.connection.execute(f"COPY ({rows}) TO {literal(self._file)} ({_PASSING_PARQUET})")

    def show(self, query: GateQuery, raw: RawTable) -> int:
        """Make the views over the rows that ``query`` gave for ``raw``; returns how many there are."""
        is_on_disk = self._file.exists()
        self._show(self._on_disk("*") if is_on_disk else "SELECT rowid AS _place, * FROM rows_in_memory")
        number = "" if raw.first_row is None else f"_place + {raw.first_row} AS _row, "
        constants = "".join(f", {sql} AS {identifier(name)}" for name, sql in self._constants(query).items())
        self.connection.execute("CREATE TEMP VIEW gated_rows AS SELECT * EXCLUDE (_place) FROM kept_rows")
        self.connection.execute(
            f"CREATE TEMP VIEW gated AS SELECT {number}* EXCLUDE (_place){constants} FROM kept_rows"
        )
        return scalars(self.connection, "SELECT count(*) FROM gated_rows")[0]

    def release(self, first_row: int | None) -> None:
        """Forget the reasons against the rows of the table ``released`` (_row); ``first_row`` as in ``RawTable``."""
        released = f"SELECT _row - {first_row or 0} FROM released"
        if not self._file.exists():
            place = "_row" if first_row is None else "rowid"
            self.connection.execute(
                f"UPDATE rows_in_memory SET _reasons = NULL, _raw = NULL WHERE {place} IN ({released})"
            )
            return
        place = "_row" if first_row is None else "file_row_number"
        kept = ", ".join(
            f"CASE WHEN {place} NOT IN ({released}) THEN {name} END AS {name}" for name in ("_reasons", "_raw")
        )
        self._show(self._on_disk(f"* REPLACE ({kept})"))

    def drop(self) -> None:
        """Forget the rows."""
        for view in ("gated", "gated_rows", "kept_rows"):
            self.connection.execute(f"DROP VIEW IF EXISTS {view}")
        self.connection.execute("DROP TABLE IF EXISTS rows_in_memory")
        self._file.unlink(missing_ok=True)

    def _constants(self, query: GateQuery) -> dict[str, str]:
        if not query.constants:
            return {}
        values = scalars(self.connection, f"SELECT {', '.join(query.constants.values())}")
        pairs = zip(query.constants.items(), values, strict=True)
        return {name: always(value) if isinstance(value, str) else sql for (name, sql), value in pairs}

    def _show(self, rows: str) -> None:
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW kept_rows AS {rows}")

    def _on_disk(self, star: str) -> str:
        source = f"read_parquet({literal(self._file)}, file_row_number = true)"
        return f"SELECT file_row_number AS _place, * EXCLUDE (file_row_number) FROM (SELECT {star} FROM {source})"

    def _fits(self, values: int) -> bool:
        (limit,) = scalars(self.connection, "SELECT parse_formatted_bytes(current_setting('memory_limit'))")
        return values * _VALUE_BYTES <= limit * _MEMORY_SHARE

    @property
    def _file(self) -> Path:
        return self.settings.scratch / f"gated-{os.getpid()}-{id(self.connection)}.parquet"


def always(text: str) -> str:
    """SQL for a text that is the same in every row: of one kind, Parquet's writer need not look it up in each row."""
    return f"CAST({literal(text)} AS ENUM ({literal(text)}))"
