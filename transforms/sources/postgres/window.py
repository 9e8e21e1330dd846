"""Which rows a pull takes: those behind the high-water mark less the overlap, and how to see that none changed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from transforms.contracts.servers.postgres import TRANSACTION_CURSOR, Overlap
from transforms.sources.delivery import UnreadableError
from transforms.sources.postgres.columns import PostgresColumn, Table
from transforms.sources.postgres.session import Session
from transforms.sql import identifier, literal

EVERYTHING = "true"
WHOLE = frozenset({"int2", "int4", "int8", "numeric"})
TIMES = frozenset({"date", "timestamp", "timestamptz"})
LOWEST = -(1 << 63)
# Transaction numbers go round after 2^32; half of the round counts as older.
XID_ROUND, XID_HALF = 1 << 32, 1 << 31


@dataclass(frozen=True)
class Mark:
    """How far a pull came: ``value`` is the text that PostgreSQL writes for it (times in UTC).

    ``server`` is the system identifier of the cluster, for a cursor that means nothing on another one.
    """

    value: str
    server: str | None = None

    def as_state(self) -> dict[str, Any]:
        """The mark as JSON takes it."""
        return asdict(self)


@dataclass(frozen=True)
class Window:
    """Rows of a table by an SQL condition; ``mark`` is the one that it was made from."""

    condition: str
    mark: Mark | None = None


def window_after(session: Session, table: Table, mark: Mark | None) -> Window:
    """The rows that a pull takes after ``mark``: all of them where there is none.

    Raises:
        UnreadableError: cursor and overlap do not fit together.
    """
    overlap = session.server.overlap
    if table.cursor is None:
        return Window(EVERYTHING)
    if table.cursor.name == TRANSACTION_CURSOR:
        return Window(_unfinished_then(session, mark), mark)
    kind = table.cursor.type
    if kind not in WHOLE | TIMES:
        raise UnreadableError(
            f"the cursor column '{table.cursor.name}' is of type {kind}; name one of a time or a whole number, or xmin"
        )
    if overlap.amount and overlap.is_time != (kind in TIMES):
        fitting = "a duration such as 15m" if kind in TIMES else "a plain number"
        raise UnreadableError(f"the cursor column '{table.cursor.name}' is of type {kind}: its overlap is {fitting}")
    if mark is None:
        return Window(EVERYTHING)
    return Window(_reached(table.cursor, mark, overlap), mark)


def _reached(cursor: PostgresColumn, mark: Mark, overlap: Overlap) -> str:
    name = identifier(cursor.name)
    if cursor.type in TIMES:
        start = f"{literal(mark.value)}::{cursor.type} - interval '{overlap.amount} seconds'"
    elif cursor.type == "numeric":
        start = f"{literal(mark.value)}::numeric - {overlap.amount}"
    else:
        start = f"{literal(str(max(int(mark.value) - overlap.amount, LOWEST)))}::int8"
    condition = f"{name} >= {start}"
    # No mark ever passes these: they come with each pull, and as long as none changes there is no pull.
    if cursor.type in TIMES:
        condition += f" OR {name} = '-infinity'"
    if not cursor.not_null:
        condition += f" OR {name} IS NULL"
    return f"({condition})"


def _unfinished_then(session: Session, mark: Mark | None) -> str:
    """Rows written by transactions that had not ended when the mark was set, or that began since."""
    if mark is None or mark.server != _system(session):
        return EVERYTHING
    ((latest,),) = session.rows("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::int8")
    if not 0 <= latest - int(mark.value) < XID_HALF:
        return EVERYTHING
    return f"age(xmin) <= age('{int(mark.value) % XID_ROUND}'::xid)"


def next_mark(session: Session, table: Table, window: Window) -> Mark | None:
    """The high-water mark of the rows that ``window`` holds in this snapshot, None for a table without a cursor.

    It never lies behind the server's clock: a date typed into the next century would else hide all that comes before.
    """
    cursor = table.cursor
    if cursor is None:
        return None
    if cursor.name == TRANSACTION_CURSOR:
        ((oldest,),) = session.rows("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
        return Mark(oldest, _system(session))
    name = identifier(cursor.name)
    highest = f"max({name})"
    if cursor.type in TIMES:
        clock = "now()" if cursor.type == "timestamptz" else f"(now() AT TIME ZONE 'UTC')::{cursor.type}"
        known = f"max({name}) FILTER (WHERE {name} > '-infinity')"
        highest = f"CASE WHEN {known} IS NOT NULL THEN least({known}, {clock}) END"
    elif cursor.type == "numeric":
        highest = f"max({name}) FILTER (WHERE {name}::text NOT IN ('NaN', 'Infinity'))"
    ((value,),) = session.rows(f"SELECT ({highest})::text FROM {table.sql} WHERE {window.condition}")
    if value is None:
        return window.mark
    return Mark(value)


def fingerprint(session: Session, table: Table, window: Window) -> str:
    """Number and hash of the rows of a window, reckoned on the server, whatever their order."""
    ((text,),) = session.rows(
        "SELECT count(*)::text || ':' || coalesce(sum(hashtextextended(row_text, 0)), 0)::text"
        f" FROM (SELECT ROW({', '.join(column.expression for column in table.columns)})::text AS row_text"
        f" FROM {table.sql} WHERE {window.condition}) AS known"
    )
    return text


def _system(session: Session) -> str:
    ((identity,),) = session.rows("SELECT system_identifier::text FROM pg_control_system()")
    return identity
