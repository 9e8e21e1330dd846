"""Primary keys across all batches of a source: which row is new, which repeats another, which is the latest version.

Only 64-bit hashes of the keys already in the lake are held; a hash that meets a new row is looked up in the batches
that hold it, so that a collision of hashes costs time and never a row. The hash is DuckDB's own, fast and free to
change with its version: the files that keep it carry a probe of the function in their name, and are made anew from
the accepted rows where the probe does not fit.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from transforms.contracts import SourceContract
from transforms.contracts.gate_sql import key_hash
from transforms.contracts.model import RECEIVED_AT
from transforms.lake.records import ACCEPTED, SUPERSEDED, SUPERSEDED_COLUMNS
from transforms.sql import columns, identifier, literal, scalars

# So many hashes are 128 MB.
_SORTED_AT_ONCE = 16 << 20


def keys_file(connection: duckdb.DuckDBPyConnection) -> str:
    """Name of a batch's file of key hashes, under the hash function of this very DuckDB."""
    (probe,) = scalars(connection, "SELECT printf('%x', hash('watershed', 360))")
    return f"keys-{probe}.parquet"


def goes_by_arrival(contract: SourceContract) -> bool:
    """Whether the order in which files come decides which version of a record is current."""
    return contract.load_mode == "snapshot" or (contract.load_mode == "upsert" and contract.latest_by == RECEIVED_AT)


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


def settle_keys(connection: duckdb.DuckDBPyConnection, contract: SourceContract, known: KnownKeys, batch: str) -> None:
    """Decide over the good rows of ``gated`` whose key occurs more than once, in the file or in the lake.

    Fills two temp tables. ``verdicts`` (_row, _verdict) names the rows that do not go on: 'duplicate' for exact
    repeats, of which the first one stays, and 'duplicate_key' where rows of one key differ and the contract has no
    rule for it: within a file none of them can be trusted, against the lake the first comer stays. ``superseding``
    names the rows, of this batch and of earlier ones, that are history because a newer version is there, and since
    when; see ``SUPERSEDED_COLUMNS``.
    """
    known.fill()
    connection.execute("CREATE OR REPLACE TEMP TABLE verdicts (_row BIGINT, _verdict VARCHAR)")
    kinds = ", ".join(f"{name} {kind}" for name, kind in SUPERSEDED_COLUMNS.items())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE superseding ({kinds})")
    if _touched(connection):
        _former(connection, contract, known)
        if contract.load_mode != "upsert":
            _refuse_conflicts_within_file(connection, contract)
        if contract.load_mode == "append":
            _compare_with_lake(connection, contract)
        else:
            _order_versions(connection, contract, batch)
    _await_own_moment(connection, contract, batch)


def _touched(connection: duckdb.DuckDBPyConnection) -> bool:
    """Fill ``touched`` with the good rows whose key hash is met more than once; False where there are none."""
    connection.execute("CREATE OR REPLACE TEMP TABLE met (_key_hash UBIGINT)")
    repeated = pa.table({"_key_hash": _repeated(connection)})
    connection.register("_repeated", repeated)
    connection.execute("INSERT INTO met SELECT _key_hash FROM _repeated")
    connection.unregister("_repeated")
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


def _repeated(connection: duckdb.DuckDBPyConnection) -> np.ndarray:
    """Key hashes that more than one good row has, each once.

    Sorting them costs an eighth of counting them in a hash table; by slices of their range, a bounded number at a time.
    """
    (rows,) = scalars(connection, "SELECT count(*) FROM gated_rows WHERE _reasons IS NULL")
    bits = max(0, (rows // _SORTED_AT_ONCE).bit_length())
    found = []
    for part in range(1 << bits):
        within = f" AND _key_hash >> {64 - bits} = {part}" if bits else ""
        query = f"SELECT _key_hash FROM gated_rows WHERE _reasons IS NULL{within}"
        hashes = np.sort(connection.execute(query).fetchnumpy()["_key_hash"])
        found.append(np.unique(hashes[1:][hashes[1:] == hashes[:-1]]))
    return np.concatenate(found)


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
    """Find exact repeats, and for each version the moment since which a newer one counts.

    That moment is the least of all newer versions, not of the next one alone: where versions have a number and no
    moment, the next one may have come last.
    """
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
        SELECT {key}, _batch_id, _row, _position, is_new, latest, {_version_moment(contract)} AS moment,
               is_new AND {repeats} AS repeats
        FROM (
            SELECT *, {_payload(contract)} AS payload, {latest} AS latest
            FROM (
                SELECT {names}, _batch_id, _row, _position, false AS is_new FROM ({lake})
                UNION ALL
                SELECT {names}, {literal(batch)} AS _batch_id, _row, NULL AS _position, true AS is_new
                FROM touched ANTI JOIN verdicts USING (_row)
            )
        ) JOIN arrivals USING (_batch_id)
        """
    )
    connection.execute("INSERT INTO verdicts SELECT _row, 'duplicate' FROM versions WHERE repeats")
    # Of two versions with the same moment, the one that came later corrects the other.
    newest_first = "latest DESC NULLS LAST, is_new DESC, _position DESC, _row DESC"
    newer = f"PARTITION BY {key} ORDER BY {newest_first} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
    connection.execute(
        f"""
        INSERT INTO superseding
        SELECT _batch_id, _row, CASE WHEN _from_at IS NULL THEN 'replaced' ELSE 'predated' END, successor.name,
               successor.moment, {_FOREVER}
        FROM (
            SELECT _batch_id, _row,
                   min(struct_pack(moment := moment, name := _batch_id || ':' || _row)) OVER ({newer}) AS successor
            FROM versions WHERE NOT repeats
        )
        LEFT JOIN (SELECT _batch_id, _row, min(_from_at) AS _from_at FROM history GROUP BY ALL)
        USING (_batch_id, _row)
        WHERE successor.moment < coalesce(_from_at, {_FOREVER})
        """
    )


_ARRIVAL = "is_new, _position, _row"
# A version without a moment was there before all others; what is replaced stays so.
_EVER, _FOREVER = "TIMESTAMP '0001-01-01'", "TIMESTAMP '9999-12-31 23:59:59.999999'"


def _version_moment(contract: SourceContract) -> str:
    """SQL for the moment since which a version counts (UTC), over its columns and ``_arrived_at``."""
    kind = "" if goes_by_arrival(contract) else contract.entity.column(contract.latest_by).physical_type
    if kind == "TIMESTAMP":
        return f"coalesce({identifier(contract.latest_by)}, {_EVER})"
    if kind == "DATE":
        # Noon in Greenwich is the same day almost everywhere.
        return f"coalesce({identifier(contract.latest_by)} + INTERVAL 12 HOURS, {_EVER})"
    return "_arrived_at"


def _await_own_moment(connection: duckdb.DuckDBPyConnection, contract: SourceContract, batch: str) -> None:
    """Add to ``superseding`` since when each row of the batch counts, where it has a version at all.

    Readers know the moment of occurrence from the row itself.
    """
    if contract.load_mode == "append" or contract.latest_by == contract.entity.occurred_at:
        return
    connection.execute(
        f"""
        INSERT INTO superseding
        SELECT {literal(batch)}, _row, 'awaited', NULL, {_EVER}, {_version_moment(contract)}
        FROM (SELECT * FROM gated ANTI JOIN verdicts USING (_row)), arrivals
        WHERE _reasons IS NULL AND arrivals._batch_id = {literal(batch)}
        """
    )


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
        SELECT p._batch_id, p._row, 'deleted', {literal(batch)}, a._arrived_at, {_FOREVER}
        FROM (SELECT * FROM present ANTI JOIN gated_rows USING (_key_hash)) AS p, arrivals AS a
        WHERE a._batch_id = {literal(batch)}
        """
    )
    return scalars(
        connection,
        "SELECT count(*) FILTER (_kind = 'deleted'), (SELECT count(*) FROM present) FROM superseding",
    )  # type: ignore[return-value]
