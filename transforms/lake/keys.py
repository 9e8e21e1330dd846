"""Primary keys across all batches of a source: which row is new, which repeats another, which is the latest version.

Only 64-bit hashes of the keys already in the lake are held; a hash that meets a new row is looked up in the batches
that hold it, so that a collision of hashes costs time and never a row. The hash is DuckDB's own, fast and free to
change with its version: the files that keep it carry a probe of the function in their name, and are made anew from
the accepted rows where the probe does not fit.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from transforms.contracts import SourceContract
from transforms.contracts.gate_sql import key_hash
from transforms.contracts.model import RECEIVED_AT
from transforms.lake.records import ACCEPTED, SUPERSEDED, SUPERSEDED_COLUMNS
from transforms.sql import columns, identifier, literal, scalars


def keys_file(connection: duckdb.DuckDBPyConnection) -> str:
    """Name of a batch's file of key hashes, under the hash function of this very DuckDB."""
    (probe,) = scalars(connection, "SELECT printf('%x', hash('watershed', 360))")
    return f"keys-{probe}.parquet"


def goes_by_arrival(contract: SourceContract) -> bool:
    """Whether the order in which files come decides which version of a record is current."""
    return contract.load_mode == "snapshot" or (contract.load_mode == "upsert" and contract.latest_by == RECEIVED_AT)


class KnownKeys:
    """Hashes of the keys that a source's accepted rows have.

    As temp tables: ``known_keys`` (_key_hash, _position, _row), where _position counts the batches in their order of
    arrival, and ``history`` (_batch_id, _row) of the rows that are no longer current.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, contract: SourceContract, batches: list[Path]):
        self._contract = contract
        self._connection = connection
        self._batches: list[Path] = []
        self._file = keys_file(connection)
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE known_keys (_key_hash UBIGINT, _position INTEGER, _row BIGINT)"
        )
        connection.execute("CREATE OR REPLACE TEMP TABLE history (_batch_id VARCHAR, _row BIGINT)")
        for batch in batches:
            self.add(batch)

    def add(self, batch: Path) -> None:
        """Take the keys of a committed batch into account; one without accepted rows has none."""
        if not (batch / ACCEPTED).exists():
            return
        hashes = f"SELECT _key_hash, _row FROM read_parquet({literal(batch / self._file)})"
        if not (batch / self._file).exists():
            hashes = (
                f"SELECT {key_hash(self._contract)} AS _key_hash, _row FROM read_parquet({literal(batch / ACCEPTED)})"
            )
        self._connection.execute(
            f"INSERT INTO known_keys SELECT _key_hash, {len(self._batches)} AS _position, _row FROM ({hashes})"
        )
        if (batch / SUPERSEDED).exists():
            self._connection.execute(
                f"INSERT INTO history SELECT _batch_id, _row FROM read_parquet({literal(batch / SUPERSEDED)})"
            )
        self._batches.append(batch)

    @property
    def positions(self) -> str:
        """Table (_position, _batch_id) of the batches, as SQL."""
        rows = ", ".join(f"({position}, {literal(batch.name)})" for position, batch in enumerate(self._batches))
        return f"(VALUES {rows or '(NULL, NULL)'}) AS positions (_position, _batch_id)"

    def accepted(self, positions: list[int]) -> str:
        """Table function over the accepted rows of some batches."""
        files = ", ".join(literal(self._batches[position] / ACCEPTED) for position in positions)
        return f"read_parquet([{files}], union_by_name = true)"


def settle_keys(connection: duckdb.DuckDBPyConnection, contract: SourceContract, known: KnownKeys, batch: str) -> None:
    """Decide over the good rows of ``gated`` whose key occurs more than once, in the file or in the lake.

    Fills two temp tables. ``verdicts`` (_row, _verdict) names the rows that do not go on: 'duplicate' for exact
    repeats, of which the first one stays, and 'duplicate_key' where rows of one key differ and the contract has no
    rule for it: within a file none of them can be trusted, against the lake the first comer stays. ``superseding``
    names the rows, of this batch and of earlier ones, that are history from now on because a newer version is there.
    """
    connection.execute("CREATE OR REPLACE TEMP TABLE verdicts (_row BIGINT, _verdict VARCHAR)")
    kinds = ", ".join(f"{name} {kind}" for name, kind in SUPERSEDED_COLUMNS.items())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE superseding ({kinds})")
    if not _touched(connection):
        return
    _former(connection, contract, known)
    if contract.load_mode != "upsert":
        _refuse_conflicts_within_file(connection, contract)
    if contract.load_mode == "append":
        _compare_with_lake(connection, contract)
    else:
        _order_versions(connection, contract, batch)


def _touched(connection: duckdb.DuckDBPyConnection) -> bool:
    """Fill ``touched`` with the good rows whose key hash is met more than once; False where there are none."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE met AS SELECT _key_hash FROM gated_rows WHERE _reasons IS NULL"
        " GROUP BY _key_hash HAVING count(*) > 1"
    )
    connection.execute(
        "INSERT INTO met SELECT DISTINCT _key_hash FROM gated_rows SEMI JOIN known_keys USING (_key_hash)"
        " WHERE _reasons IS NULL"
    )
    if scalars(connection, "SELECT count(*) FROM met") == (0,):
        return False
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE touched AS"
        " SELECT * EXCLUDE (_raw) FROM gated SEMI JOIN met USING (_key_hash) WHERE _reasons IS NULL"
    )
    return True


def _former(connection: duckdb.DuckDBPyConnection, contract: SourceContract, known: KnownKeys) -> None:
    """Fill ``former`` with the rows of the lake that have a key of ``touched``."""
    found = connection.execute(
        "SELECT DISTINCT _position FROM known_keys SEMI JOIN met USING (_key_hash) ORDER BY ALL"
    ).fetchall()
    names = columns([column.name for column in contract.entity.columns])
    types = ", ".join(
        f"CAST(NULL AS {column.physical_type}) AS {identifier(column.name)}" for column in contract.entity.columns
    )
    if not found:
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE former AS SELECT {types}, CAST(NULL AS VARCHAR) AS _batch_id,"
            " CAST(NULL AS BIGINT) AS _row, 0 AS _position WHERE false"
        )
        return
    key = columns(contract.entity.key)
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE former AS
        SELECT {names}, _batch_id, _row, _position
        FROM (SELECT {names}, _batch_id, _row FROM {known.accepted([position for (position,) in found])})
        JOIN {known.positions} USING (_batch_id)
        SEMI JOIN touched USING ({key})
        """
    )


def _payload(contract: SourceContract) -> str:
    return f"hash(row({columns([column.name for column in contract.entity.columns])}))"


def _refuse_conflicts_within_file(connection: duckdb.DuckDBPyConnection, contract: SourceContract) -> None:
    key = columns(contract.entity.key)
    connection.execute(
        f"""
        INSERT INTO verdicts
        SELECT _row, CASE WHEN payloads = 1 THEN 'duplicate' ELSE 'duplicate_key' END
        FROM (
            SELECT _row, row_number() OVER (PARTITION BY {key} ORDER BY _row) AS place,
                   min(payload) OVER (PARTITION BY {key}) <> max(payload) OVER (PARTITION BY {key}) AS differ,
                   CASE WHEN differ THEN 2 ELSE 1 END AS payloads
            FROM (SELECT _row, {key}, {_payload(contract)} AS payload FROM touched)
        ) WHERE differ OR place > 1
        """
    )


def _compare_with_lake(connection: duckdb.DuckDBPyConnection, contract: SourceContract) -> None:
    names = [column.name for column in contract.entity.columns]
    same = " AND ".join(f"t.{identifier(name)} IS NOT DISTINCT FROM f.{identifier(name)}" for name in names)
    key = " AND ".join(f"t.{identifier(name)} = f.{identifier(name)}" for name in contract.entity.key)
    connection.execute(
        f"""
        INSERT INTO verdicts
        SELECT t._row, CASE WHEN {same} THEN 'duplicate' ELSE 'duplicate_key' END
        FROM (SELECT * FROM touched ANTI JOIN verdicts USING (_row)) AS t
        JOIN former AS f ON {key}
        """
    )


def _order_versions(connection: duckdb.DuckDBPyConnection, contract: SourceContract, batch: str) -> None:
    """Find exact repeats, and which version of each key is the latest."""
    key = columns(contract.entity.key)
    if goes_by_arrival(contract):
        # What came last counts: a row repeats another only if nothing else came in between.
        lake = "SELECT * FROM former ANTI JOIN history USING (_batch_id, _row)"
        repeats = f"lag(payload) OVER (PARTITION BY {key} ORDER BY {_ARRIVAL}) IS NOT DISTINCT FROM payload"
        latest = "0"
    else:
        lake = "SELECT * FROM former"
        repeats = f"row_number() OVER (PARTITION BY {key}, payload ORDER BY {_ARRIVAL}) > 1"
        latest = identifier(contract.latest_by)
    names = columns([column.name for column in contract.entity.columns])
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE versions AS
        SELECT {key}, _batch_id, _row, _position, is_new, latest, is_new AND {repeats} AS repeats
        FROM (
            SELECT *, {_payload(contract)} AS payload, {latest} AS latest
            FROM (
                SELECT {names}, _batch_id, _row, _position, false AS is_new FROM ({lake})
                UNION ALL
                SELECT {names}, {literal(batch)} AS _batch_id, _row, NULL AS _position, true AS is_new
                FROM touched ANTI JOIN verdicts USING (_row)
            )
        )
        """
    )
    connection.execute("INSERT INTO verdicts SELECT _row, 'duplicate' FROM versions WHERE repeats")
    # Of two versions with the same moment, the one that came later corrects the other.
    newest_first = "latest DESC NULLS LAST, is_new DESC, _position DESC, _row DESC"
    connection.execute(
        f"""
        INSERT INTO superseding
        SELECT _batch_id, _row, 'replaced', winner
        FROM (
            SELECT _batch_id, _row,
                   first_value(_batch_id || ':' || _row) OVER (PARTITION BY {key} ORDER BY {newest_first}) AS winner
            FROM versions WHERE NOT repeats
        ) ANTI JOIN history USING (_batch_id, _row)
        WHERE winner <> _batch_id || ':' || _row
        """
    )


_ARRIVAL = "is_new, _position, _row"


def delete_what_is_gone(connection: duckdb.DuckDBPyConnection, batch: str, known: KnownKeys) -> tuple[int, int]:
    """Add to ``superseding`` the current rows whose keys a snapshot no longer holds; returns (gone, current before).

    The keys of rows that are in quarantine count as present.
    """
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE present AS
        SELECT _key_hash, _batch_id, _row
        FROM known_keys JOIN {known.positions} USING (_position)
        ANTI JOIN history USING (_batch_id, _row)
        """
    )
    connection.execute(
        f"""
        INSERT INTO superseding
        SELECT _batch_id, _row, 'deleted', {literal(batch)}
        FROM present ANTI JOIN gated_rows USING (_key_hash)
        """
    )
    return scalars(
        connection,
        "SELECT count(*) FILTER (_kind = 'deleted'), (SELECT count(*) FROM present) FROM superseding",
    )  # type: ignore[return-value]
