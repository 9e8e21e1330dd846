"""Which version of a record is current, and since when, where a source sends records anew or as whole tables."""

from __future__ import annotations

import duckdb

from transforms.contracts import SourceContract
from transforms.contracts.gate_sql import payload_hash
from transforms.contracts.model import RECEIVED_AT
from transforms.lake.known_keys import KnownKeys
from transforms.sql import columns, identifier, literal, scalars

_ARRIVAL = "is_new, _position, _row"
# A version without a moment was there before all others; what is replaced stays so.
_EVER, _FOREVER = "TIMESTAMP '0001-01-01'", "TIMESTAMP '9999-12-31 23:59:59.999999'"


def goes_by_arrival(contract: SourceContract) -> bool:
    """Whether the order in which files come decides which version of a record is current."""
    return contract.load_mode == "snapshot" or (contract.load_mode == "upsert" and contract.latest_by == RECEIVED_AT)


def order_versions(connection: duckdb.DuckDBPyConnection, contract: SourceContract, batch: str) -> None:
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
            SELECT *, {payload_hash(contract)} AS payload, {latest} AS latest
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


def _version_moment(contract: SourceContract) -> str:
    """SQL for the moment since which a version counts (UTC), over its columns and ``_arrived_at``."""
    kind = "" if goes_by_arrival(contract) else contract.entity.column(contract.latest_by).physical_type
    if kind == "TIMESTAMP":
        return f"coalesce({identifier(contract.latest_by)}, {_EVER})"
    if kind == "DATE":
        # Noon in Greenwich is the same day almost everywhere.
        return f"coalesce({identifier(contract.latest_by)} + INTERVAL 12 HOURS, {_EVER})"
    return "_arrived_at"


def await_own_moment(connection: duckdb.DuckDBPyConnection, contract: SourceContract, batch: str) -> None:
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
