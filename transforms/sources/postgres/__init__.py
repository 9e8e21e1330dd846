"""Sources that are a table of a PostgreSQL server, pulled as Arrow batches into one Parquet file a pull."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from functools import partial
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.contracts import PostgresServer, SourceContract
from transforms.settings import Settings
from transforms.sources.delivery import Delivery, NothingNew, State
from transforms.sources.postgres.columns import Table, read_table
from transforms.sources.postgres.session import Session, read_only_session
from transforms.sources.postgres.values import with_infinity
from transforms.sources.postgres.window import Mark, Window, fingerprint, next_mark, window_after


def location(server: PostgresServer) -> str:
    """Server, database and table of a source."""
    return f"postgresql://{server.user}@{server.host}:{server.port}/{server.database} {server.schema}.{server.table}"


def deliveries(
    contract: SourceContract, server: PostgresServer, settings: Settings, state: State | None, now: dt.datetime
) -> list[Delivery]:
    """One delivery: what the table holds beyond ``state``; nothing is asked of the server before it is written."""
    moment = now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H%M%S.%fZ")
    write = partial(_pull, contract, server, settings, state, now)
    return [Delivery(f"{server.table}/{moment}.parquet", moment, write)]


def _pull(
    contract: SourceContract,
    server: PostgresServer,
    settings: Settings,
    state: State | None,
    now: dt.datetime,
    target: BinaryIO,
) -> State:
    """Write what is new as Parquet and return from where the next pull goes on.

    Everything is read in one snapshot of the server, so that rows, mark and fingerprint belong together.

    Raises:
        UnreadableError: the server refuses or goes away.
        NothingNew: the rows that a pull would bring are those that the last one knew.
    """
    with read_only_session(server, settings) as session:
        table = read_table(session, contract, server)
        last = _still_valid(state, table, contract)
        window = window_after(session, table, Mark(**last["mark"]) if last and last["mark"] else None)
        held = fingerprint(session, table, window) if last and last["columns"] == table.types else None
        if last and held == last["window"]:
            raise NothingNew
        rows = _write(session, table, window, now, target)
        if not rows and table.cursor is not None:
            raise NothingNew
        mark = next_mark(session, table, window)
        following = window_after(session, table, mark)
        if held is None or following.condition != window.condition:
            held = fingerprint(session, table, following)
        return {
            "table": table.name,
            "columns": table.types,
            "left_out": list(table.left_out),
            "cursor": table.cursor and [table.cursor.name, table.cursor.type],
            "mark": mark and mark.as_state(),
            "window": held,
            "pulled_at": now.isoformat(),
        }


def _still_valid(state: State | None, table: Table, contract: SourceContract) -> dict[str, Any] | None:
    """The state, or None where the pull must begin anew: another table, cursor or type, or a column that was left out.

    What was read up to the mark lacks a column that the contract had not asked for then.
    """
    if state is None or state.get("table") != table.name:
        return None
    if state["cursor"] != (table.cursor and [table.cursor.name, table.cursor.type]):
        return None
    if set(state["left_out"]) & set(contract.physical_columns):
        return None
    return dict(state)


def _write(session: Session, table: Table, window: Window, now: dt.datetime, target: BinaryIO) -> int:
    """Stream the rows of a window into a Parquet file, batch by batch; returns their number."""
    batches = session.stream(f"SELECT {table.selection} FROM {table.sql} WHERE {window.condition}")
    # Two pulls of equal rows are still two pulls: a table that went back to what it was must not pass for a repeat.
    schema = batches.schema.with_metadata({"watershed.pulled_at": now.isoformat()})
    rows = 0
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for batch in _as_written(batches.batches, schema):
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _as_written(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterable[pa.RecordBatch]:
    for batch in batches:
        yield with_infinity(batch).replace_schema_metadata(schema.metadata)
