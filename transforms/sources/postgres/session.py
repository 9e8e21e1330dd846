"""One read-only look at a PostgreSQL server, and its refusals in words that help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from transforms.contracts import PostgresServer
from transforms.settings import Settings
from transforms.sources.delivery import UnreadableError
from transforms.sql import identifier, literal

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection, Cursor

# A server that does not answer is found out within a minute or two, wherever the cable was cut.
_PATIENCE = {"connect_timeout": 15, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
# Someone who alters the table makes readers wait; we rather come again than stand in the queue before others.
_LOCK_TIMEOUT = "30s"


@dataclass(frozen=True)
class Stream:
    """Record batches as they come over the wire; a refusal on the way is an ``UnreadableError``."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class Session:
    """A transaction that sees one state of the database and can change nothing."""

    connection: Connection
    server: PostgresServer
    password: str | None

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a small answer."""
        with self._translated(), self.connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def stream(self, query: str) -> Stream:
        """Rows of a large answer, some 16 MB at a time."""
        with self._translated():
            cursor = self.connection.cursor()
            cursor.execute(query)
            reader = cursor.fetch_record_batch()
        return Stream(reader.schema, self._batches(cursor, reader))

    def _batches(self, cursor: Cursor, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        # The stream ends with its cursor, so that somebody has to hold it.
        with cursor:
            while True:
                with self._translated():
                    try:
                        batch = reader.read_next_batch()
                    except StopIteration:
                        return
                yield batch

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from adbc_driver_manager.dbapi import Error

        try:
            yield
        except (Error, OSError, pa.ArrowException) as error:
            raise _unreadable(self.server, self.password, error) from None


@contextmanager
def read_only_session(server: PostgresServer, settings: Settings) -> Iterator[Session]:
    """Open a transaction that is read only and repeatable; it is rolled back in the end.

    Raises:
        UnreadableError: the secret is not set, or the server does not let us in.
    """
    from adbc_driver_manager.dbapi import Error
    from adbc_driver_postgresql.dbapi import connect

    try:
        password = settings.secret(server.password) if server.password else None
    except KeyError as error:
        raise UnreadableError(str(error.args[0])) from None
    try:
        connection = connect(_connection_string(server, password))
    except (Error, OSError) as error:
        raise _unreadable(server, password, error) from None
    try:
        session = Session(connection, server, password)
        with session._translated(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            for name, value in _local_settings(server).items():
                cursor.execute(f"SET LOCAL {name} = {literal(value)}")
        yield session
    finally:
        # Where the connection was cut there is nothing to roll back, and nothing that was lost.
        with suppress(Error, OSError):
            connection.close()


def _local_settings(server: PostgresServer) -> dict[str, str]:
    """What makes the text of values the same whatever the server's own settings are."""
    local = {
        "standard_conforming_strings": "on",
        "timezone": "UTC",
        "datestyle": "ISO, YMD",
        "intervalstyle": "iso_8601",
        "extra_float_digits": "1",
        "bytea_output": "hex",
        "lock_timeout": _LOCK_TIMEOUT,
    }
    if server.statement_timeout:
        local["statement_timeout"] = f"{server.statement_timeout}s"
    return local


def _connection_string(server: PostgresServer, password: str | None) -> str:
    parts: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "dbname": server.database,
        "user": server.user,
        "sslmode": server.sslmode,
        "application_name": "watershed",
        "client_encoding": "UTF8",
        **_PATIENCE,
    }
    if password is not None:
        parts["password"] = password
    escaped = {key: str(value).replace("\\", "\\\\").replace("'", "\\'") for key, value in parts.items()}
    return " ".join(f"{key}='{value}'" for key, value in escaped.items())


def _unreadable(server: PostgresServer, password: str | None, error: Exception) -> UnreadableError:
    """The server's first line, and what to do about it."""
    if isinstance(error, UnreadableError):
        return error
    text = str(error)
    for mark in ("FATAL:", "ERROR:", "failed:", "[libpq]"):
        if mark in text:
            text = text.split(mark, 1)[1]
            break
    text = text.strip().splitlines()[0].strip().removesuffix(".")
    if password:
        text = text.replace(password, "***")
    remedy = _remedy(server, getattr(error, "sqlstate", None) or "", str(error))
    return UnreadableError(f"postgres {server.host}:{server.port}/{server.database}: {text}; {remedy}")


def _remedy(server: PostgresServer, state: str, text: str) -> str:
    """The way out, by SQLSTATE; a refusal at the door and one in the middle of a stream bring only words."""
    user, secret = identifier(server.user), f"WATERSHED_SECRETS__{(server.password or '<NAME>').upper()}"
    table = f"{identifier(server.schema)}.{identifier(server.table)}"
    known = {
        "42501": f"have it granted: GRANT USAGE ON SCHEMA {identifier(server.schema)} TO {user};"
        f" GRANT SELECT ON {table} TO {user}",
        "42P01": "mend the schema or the physicalName of the contract",
        "42703": "mend the column's name in the contract",
        "55P03": "somebody alters the table; the next run tries again",
        "53300": "the server has no connection left; the next run tries again",
        "40001": "a replica stopped the read; raise max_standby_streaming_delay there, or read in smaller pulls",
    }
    if state in known:
        return known[state]
    if state == "57014" or "statement timeout" in text:
        return "raise statementTimeout, index the cursor column, or load at a quieter time"
    words = {
        "password authentication failed": f"set the password of the role in {secret}",
        "no password supplied": f"name its secret as 'password' in the contract and set {secret}",
        "does not match host name": "write the host of the contract as the server's certificate has it",
        "certificate": "set PGSSLROOTCERT to the file of the authority that signed the server's certificate",
        "does not exist": "mend the database or the user of the contract",
        "support SSL": "have the server offer TLS, or set sslmode: disable where the network is your own",
        "could not translate host name": "mend the host of the contract",
        "Connection refused": "start the server, or mend host and port of the contract",
        "invalid byte sequence": "mend the text in the database, or leave its column out by ignoreColumns",
        "closed the connection": "nothing was landed; the next run begins where this one did",
        "recovery": "a replica stopped the read; raise max_standby_streaming_delay there, or read in smaller pulls",
    }
    for words_of_server, remedy in words.items():
        if words_of_server in text:
            return remedy
    return "nothing was landed; the next run tries again"
