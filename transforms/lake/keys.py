"""Primary keys across all batches of a source: which row is new, which repeats another, which contradicts one."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from transforms.contracts import SourceContract
from transforms.contracts.gate_sql import payload_hash
from transforms.lake.known_keys import KnownKeys
from transforms.lake.records import SUPERSEDED_COLUMNS
from transforms.lake.versions import await_own_moment, order_versions
from transforms.sql import columns, identifier, scalars

# So many hashes are 128 MB.
_SORTED_AT_ONCE = 16 << 20


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
            order_versions(connection, contract, batch)
    await_own_moment(connection, contract, batch)


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
            FROM (SELECT _row, {key}, {payload_hash(contract)} AS payload FROM touched)
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
