"""What the server's catalog says of a table, and how each of its columns is asked for."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from transforms.contracts import PostgresServer, SourceContract
from transforms.contracts.servers.postgres import TRANSACTION_CURSOR
from transforms.sources.delivery import UnreadableError
from transforms.sources.postgres.session import Session
from transforms.sql import identifier, literal

# Types that the driver hands over without loss. All others are asked for as text: the driver would give numeric(38,2)
# its own way, money as cents, enums and ranges as bytes, an array of arrays flat.
NATIVE = frozenset(
    {"int2", "int4", "int8", "float4", "float8", "bool", "text", "varchar", "bytea", "date", "timestamp", "timestamptz"}
)
ARRAY, COMPOSITE = "A", "C"
# Kinds of relations whose rows carry the number of the transaction that wrote them.
_STORED = frozenset({"r", "p", "m"})


@dataclass(frozen=True)
class PostgresColumn:
    """A column: ``type`` is its catalog name, that of the base type for a domain, ``category`` PostgreSQL's letter."""

    name: str
    type: str
    category: str
    not_null: bool

    @property
    def expression(self) -> str:
        """SQL that brings the value over the wire without loss; text is that of PostgreSQL's ISO styles."""
        name = identifier(self.name)
        if self.type in NATIVE:
            return name
        if self.type == "money":
            return f"{name}::numeric::text"  # without the currency sign of the server's locale
        if self.category in {ARRAY, COMPOSITE}:
            return f"to_json({name})::text"
        return f"{name}::text"


@dataclass(frozen=True)
class Table:
    """A table or view with the columns that a pull reads, and the names of those that it leaves out."""

    name: str
    sql: str
    columns: tuple[PostgresColumn, ...]
    left_out: tuple[str, ...]
    cursor: PostgresColumn | None

    @property
    def selection(self) -> str:
        """Select list of a pull."""
        return ", ".join(f"{column.expression} AS {identifier(column.name)}" for column in self.columns)

    @property
    def types(self) -> dict[str, str]:
        """Type of each column that a pull reads."""
        return {column.name: column.type for column in self.columns}


def read_table(session: Session, contract: SourceContract, server: PostgresServer) -> Table:
    """Look the contract's table up.

    Raises:
        UnreadableError: there is no such table, or it lacks what the contract cannot do without.
    """
    name = f"{server.schema}.{server.table}"
    found = session.rows(_CATALOG.format(schema=literal(server.schema), table=literal(server.table)))
    if not found:
        raise UnreadableError(f"there is no table {name}{_near_table(session, server)}; mend physicalName or schema")
    columns = {row[1]: PostgresColumn(*row[1:5]) for row in found}
    readable = [row[1] for row in found if row[5]]
    for wanted in contract.physical_columns:
        if wanted in columns and wanted not in readable:
            grant = f"GRANT SELECT ({identifier(wanted)}) ON {_quoted(server)} TO {identifier(server.user)}"
            raise UnreadableError(
                f"{server.user} may not read the column '{wanted}' of {name}; have it granted: {grant}"
            )
    missing = [column for column in contract.required_physical_columns if column not in columns]
    if missing:
        raise UnreadableError(
            f"{name} lacks {', '.join(_hint(column, columns) for column in sorted(missing))}, which the contract"
            " requires; mend physicalName, or have the column back"
        )
    unwanted = set(contract.ignore_columns) - set(contract.physical_columns)
    pulled = [column for column in readable if column not in unwanted]
    if not pulled:
        grant = f"GRANT SELECT ON {_quoted(server)} TO {identifier(server.user)}"
        raise UnreadableError(
            f"permission denied: {server.user} may read no column of {name}; have it granted: {grant}"
        )
    repeated = sorted(column for column in pulled if [other.lower() for other in pulled].count(column.lower()) > 1)
    if repeated:
        # The gate's SQL knows no capitals in names: it would take one column for the other.
        raise UnreadableError(f"{name} has the columns {', '.join(repeated)}; put all but one under ignoreColumns")
    return Table(
        name,
        _quoted(server),
        tuple(columns[column] for column in pulled),
        tuple(sorted(set(columns) - set(pulled))),
        _cursor(server, columns, kind=found[0][0]),
    )


def _cursor(server: PostgresServer, columns: dict[str, PostgresColumn], kind: str) -> PostgresColumn | None:
    if server.cursor is None:
        return None
    if server.cursor == TRANSACTION_CURSOR:
        if kind not in _STORED:
            raise UnreadableError(
                f"{server.schema}.{server.table} is a view and has no xmin; name a cursorColumn of it"
            )
        return PostgresColumn(TRANSACTION_CURSOR, "xid", "U", True)
    if server.cursor not in columns:
        raise UnreadableError(f"there is no cursor column {_hint(server.cursor, columns)}; mend cursorColumn")
    return columns[server.cursor]


def _quoted(server: PostgresServer) -> str:
    return f"{identifier(server.schema)}.{identifier(server.table)}"


def _hint(column: str, columns: dict[str, PostgresColumn]) -> str:
    near = difflib.get_close_matches(column, columns, n=1)
    return f"'{column}'" + (f" (renamed to '{near[0]}'?)" if near else "")


def _near_table(session: Session, server: PostgresServer) -> str:
    rows = session.rows(
        "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')"
    )
    near = difflib.get_close_matches(f"{server.schema}.{server.table}", [row[0] for row in rows], n=1)
    return f" (meant {near[0]}?)" if near else ""


_CATALOG = """
SELECT c.relkind::text, a.attname::text,
       (WITH RECURSIVE chain AS (
           SELECT t.oid, t.typtype, t.typbasetype, t.typname, t.typnamespace
           FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid
           UNION ALL
           SELECT t.oid, t.typtype, t.typbasetype, t.typname, t.typnamespace
           FROM chain JOIN pg_catalog.pg_type t ON t.oid = chain.typbasetype WHERE chain.typtype = 'd'
       )
       SELECT CASE WHEN typnamespace = 'pg_catalog'::regnamespace THEN typname::text
                   ELSE typnamespace::regnamespace::text || '.' || typname::text END
       FROM chain WHERE typtype <> 'd'),
       ty.typcategory::text, a.attnotnull, has_column_privilege(c.oid, a.attnum, 'SELECT')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
JOIN pg_catalog.pg_type ty ON ty.oid = a.atttypid
WHERE n.nspname = {schema} AND c.relname = {table} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
