"""Primary keys across all batches of a source: exact repeats are counted, conflicts are refused.

Only 64-bit hashes of the keys already in the lake are held (8 bytes a row); a hash that meets a new row is looked up
in the batches themselves, so that a collision of hashes costs time and never a row.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from transforms.contracts import SourceContract
from transforms.lake.records import ACCEPTED, KEYS
from transforms.sql import columns, identifier, literal, scalars


class KnownKeys:
    """Hashes of the keys that a source's accepted batches hold, as a temp table ``known_keys`` (_key_hash)."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, batches: list[Path]):
        self._batches = [batch for batch in batches if (batch / KEYS).exists()]
        connection.execute("CREATE OR REPLACE TEMP TABLE known_keys (_key_hash UBIGINT)")
        if self._batches:
            connection.execute(f"INSERT INTO known_keys SELECT _key_hash FROM {self._files(KEYS)}")

    def add(self, connection: duckdb.DuckDBPyConnection, batch: Path) -> None:
        """Take the keys of a batch that was just committed into account."""
        self._batches.append(batch)
        connection.execute(f"INSERT INTO known_keys SELECT _key_hash FROM read_parquet({literal(batch / KEYS)})")

    def accepted(self) -> str | None:
        """Table function over the accepted rows of all batches, None where there are none."""
        return self._files(ACCEPTED) if self._batches else None

    def _files(self, name: str) -> str:
        files = ", ".join(literal(batch / name) for batch in self._batches)
        return f"read_parquet([{files}], union_by_name = true)"


def settle_duplicates(connection: duckdb.DuckDBPyConnection, contract: SourceContract, known: KnownKeys) -> None:
    """Mark the rows of ``gated`` whose key occurs more than once, in the file or in the lake.

    ``_duplicate`` becomes 'duplicate' where the rows are equal in every column (the first one in the file stays), and
    'duplicate_key' where they differ: within a file none of them can be trusted, against the lake the first comer
    stays.
    """
    key = list(contract.entity.key)
    hashed = " || chr(31) || ".join(f"CAST({identifier(name)} AS VARCHAR)" for name in key)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE gated_keys AS SELECT _row, md5_number_lower({hashed}) AS _key_hash"
        " FROM gated WHERE _reasons IS NULL"
    )
    _within_file(connection, contract, key)
    _against_lake(connection, contract, key, known)


def _within_file(connection: duckdb.DuckDBPyConnection, contract: SourceContract, key: list[str]) -> None:
    rows, keys = scalars(connection, "SELECT count(*), count(DISTINCT _key_hash) FROM gated_keys")
    if rows == keys:
        return
    payload = columns([column.name for column in contract.entity.columns])
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE repeated AS
        SELECT {columns(key)}, min(_row) AS _first, count(DISTINCT hash(row({payload}))) AS _payloads
        FROM gated SEMI JOIN (
            SELECT _row FROM gated_keys SEMI JOIN (
                SELECT _key_hash FROM gated_keys GROUP BY _key_hash HAVING count(*) > 1
            ) USING (_key_hash)
        ) USING (_row)
        GROUP BY {columns(key)} HAVING count(*) > 1
        """
    )
    same = " AND ".join(f"gated.{identifier(name)} = repeated.{identifier(name)}" for name in key)
    connection.execute(
        f"""
        UPDATE gated SET _duplicate = CASE WHEN _payloads = 1 THEN 'duplicate' ELSE 'duplicate_key' END
        FROM repeated
        WHERE {same} AND gated._reasons IS NULL AND (_payloads > 1 OR gated._row <> _first)
        """
    )


def _against_lake(
    connection: duckdb.DuckDBPyConnection, contract: SourceContract, key: list[str], known: KnownKeys
) -> None:
    accepted = known.accepted()
    if accepted is None:
        return
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE met AS"
        " SELECT _row, _key_hash FROM gated_keys SEMI JOIN known_keys USING (_key_hash)"
    )
    if scalars(connection, "SELECT count(*) FROM met") == (0,):
        return
    names = [column.name for column in contract.entity.columns]
    same = " AND ".join(f"g.{identifier(name)} IS NOT DISTINCT FROM a.{identifier(name)}" for name in names)
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE repeated AS
        SELECT g._row, {same} AS _same
        FROM (SELECT * FROM gated SEMI JOIN met USING (_row) WHERE _duplicate IS NULL) AS g
        JOIN (SELECT {columns(names)} FROM {accepted}) AS a USING ({columns(key)})
        """
    )
    connection.execute(
        """
        UPDATE gated SET _duplicate = CASE WHEN _same THEN 'duplicate' ELSE 'duplicate_key' END
        FROM repeated WHERE gated._row = repeated._row
        """
    )
