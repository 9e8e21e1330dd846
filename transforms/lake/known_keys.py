"""The keys of a source that the lake holds.

Only their 64-bit hashes are held; a hash that meets a new row is looked up in the batches that hold it, so that a
collision of hashes costs time and never a row. The hash is DuckDB's own, fast and free to change with its version: the
files that keep it carry a probe of the function in their name, and are made anew from the accepted rows where the
probe does not fit.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import duckdb

from transforms.contracts import SourceContract
from transforms.contracts.gate_sql import key_hash
from transforms.lake.records import ACCEPTED, SUPERSEDED
from transforms.sql import literal, scalars


def keys_file(connection: duckdb.DuckDBPyConnection) -> str:
    """Name of a batch's file of key hashes, under the hash function of this very DuckDB."""
    (probe,) = scalars(connection, "SELECT printf('%x', hash('watershed', 360))")
    return f"keys-{probe}.parquet"


class KnownKeys:
    """Hashes of the keys that a source's accepted rows have.

    As tables that all connections to the database share, once they are filled: ``known_keys`` (_key_hash, _position,
    _row), where _position counts the batches in their order of arrival, ``history`` (_batch_id, _row, _from_at) of the
    rows that are no longer current, and ``arrivals`` (_batch_id, _arrived_at) with the moment since which each batch's
    file tells how things are (UTC).
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        contract: SourceContract,
        batches: list[Path],
        arrivals: Mapping[str, dt.datetime],
    ):
        self._contract = contract
        self._connection = connection
        self._batches: list[Path] = []
        self._read = 0
        self._file = keys_file(connection)
        connection.execute("CREATE OR REPLACE TABLE known_keys (_key_hash UBIGINT, _position INTEGER, _row BIGINT)")
        connection.execute("CREATE OR REPLACE TABLE history (_batch_id VARCHAR, _row BIGINT, _from_at TIMESTAMP)")
        connection.execute(
            "CREATE OR REPLACE TABLE arrivals AS"
            " SELECT unnest($batches) AS _batch_id, CAST(unnest($moments) AS TIMESTAMP) AS _arrived_at",
            {"batches": list(arrivals), "moments": [at.replace(tzinfo=None).isoformat() for at in arrivals.values()]},
        )
        for batch in batches:
            self.add(batch)

    def add(self, batch: Path) -> None:
        """Take a committed batch into account; one without accepted rows has no keys."""
        if (batch / ACCEPTED).exists():
            self._batches.append(batch)

    def fill(self) -> None:
        """Bring the tables up to date: those of the batches that came last are often not asked for any more."""
        for position in range(self._read, len(self._batches)):
            self._fill(position, self._batches[position])
        self._read = len(self._batches)

    def _fill(self, position: int, batch: Path) -> None:
        hashes = f"SELECT _key_hash, _row FROM read_parquet({literal(batch / self._file)})"
        if not (batch / self._file).exists():
            hashes = (
                f"SELECT {key_hash(self._contract)} AS _key_hash, _row FROM read_parquet({literal(batch / ACCEPTED)})"
            )
        self._connection.execute(
            f"INSERT INTO known_keys SELECT _key_hash, {position} AS _position, _row FROM ({hashes})"
        )
        if (batch / SUPERSEDED).exists():
            self._connection.execute(
                "INSERT INTO history SELECT _batch_id, _row, _from_at"
                f" FROM read_parquet({literal(batch / SUPERSEDED)}) WHERE _kind <> 'awaited'"
            )

    @property
    def positions(self) -> str:
        """Table (_position, _batch_id) of the batches, as SQL."""
        rows = ", ".join(f"({position}, {literal(batch.name)})" for position, batch in enumerate(self._batches))
        return f"(VALUES {rows or '(NULL, NULL)'}) AS positions (_position, _batch_id)"

    def accepted(self, positions: list[int]) -> str:
        """Table function over the accepted rows of some batches."""
        files = ", ".join(literal(self._batches[position] / ACCEPTED) for position in positions)
        return f"read_parquet([{files}], union_by_name = true)"
