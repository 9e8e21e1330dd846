"""Servers that are PostgreSQL: one table or view, pulled by a cursor or as a whole."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from transforms.contracts.document import Document, Problem
from transforms.contracts.model import Server
from transforms.contracts.parts import closest, custom_property

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
PROPERTIES = ("user", "password", "sslmode", "cursorColumn", "overlap", "statementTimeout")
# The system column that PostgreSQL itself writes with each version of a row: a cursor that no transaction escapes.
TRANSACTION_CURSOR = "xmin"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_DURATION = re.compile(r"(\d{1,9})([smhd])")
_SECRET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Overlap:
    """How far a pull reaches back behind the high-water mark.

    ``amount`` counts seconds where ``is_time``, else steps of a cursor of whole numbers.
    """

    amount: int
    is_time: bool


@dataclass(frozen=True)
class PostgresServer(Server):
    """One table or view. ``cursor`` None means that each pull takes the whole table.

    ``password`` is the name of a secret, ``statement_timeout`` counts seconds; None leaves it to the server.
    """

    host: str = ""
    port: int = 5432
    database: str = ""
    schema: str = "public"
    table: str = ""
    user: str = ""
    password: str | None = None
    sslmode: str = "require"
    cursor: str | None = None
    overlap: Overlap = Overlap(0, False)
    statement_timeout: int | None = None


def build_postgres_server(
    document: Document, node: dict[str, Any], schema: dict[str, Any], problems: list[Problem]
) -> PostgresServer:
    """A PostgreSQL table; faults go to ``problems``."""

    def fault(key: str, message: str, remedy: str) -> None:
        problems.append(document.problem(_place(node, key), message, remedy))

    for name in (item.get("property") for item in node.get("customProperties") or []):
        if name not in PROPERTIES:
            fault(str(name), f"a PostgreSQL server has no property '{name}'.", closest(str(name), PROPERTIES))
    for key in ("host", "database"):
        if not node.get(key):
            fault(key, f"the server has no {key}.", f"Add '{key}:'.")
    if not custom_property(node, "user"):
        fault("user", "the server has no user.", "Add the server property 'user', a role that may only read.")
    port = node.get("port", 5432)
    if not str(port).isdecimal() or not 0 < int(port) < 65536:
        fault("port", f"the port is '{port}'.", "Give a number from 1 to 65535.")
        port = 5432
    sslmode = str(custom_property(node, "sslmode", "require"))
    if sslmode not in SSL_MODES:
        fault("sslmode", f"sslmode is '{sslmode}'.", f"Use one of {', '.join(SSL_MODES)}.")
    password = custom_property(node, "password")
    if password is not None and not _SECRET_NAME.fullmatch(str(password)):
        # What stands there may be the password itself: it is not repeated.
        remedy = "Give the name alone, such as shop_database, and set WATERSHED_SECRETS__SHOP_DATABASE."
        fault("password", "password is not the name of a secret.", remedy)
    timeout = custom_property(node, "statementTimeout")
    seconds = _duration(timeout) if timeout is not None else None
    if timeout is not None and not seconds:
        fault("statementTimeout", f"statementTimeout is '{timeout}'.", "Give a duration such as 30s, 15m or 2h.")
    cursor = custom_property(node, "cursorColumn")
    return PostgresServer(
        type="postgres",
        format="parquet",
        host=str(node.get("host")),
        port=int(port),
        database=str(node.get("database")),
        schema=str(node.get("schema") or "public"),
        table=str(schema.get("physicalName") or schema.get("name")),
        user=str(custom_property(node, "user")),
        password=None if password is None else str(password),
        sslmode=sslmode,
        cursor=None if cursor is None else str(cursor),
        overlap=_overlap(document, node, schema, problems),
        statement_timeout=seconds,
    )


def _overlap(document: Document, node: dict[str, Any], schema: dict[str, Any], problems: list[Problem]) -> Overlap:
    """The overlap, after a look at whether cursor, overlap and load mode fit together."""
    mode = str(custom_property(schema, "loadMode", "append"))
    cursor, overlap = custom_property(node, "cursorColumn"), custom_property(node, "overlap")

    def fault(key: str, message: str, remedy: str) -> Overlap:
        problems.append(document.problem(_place(node, key), message, remedy))
        return Overlap(0, False)

    if cursor is None and mode != "snapshot":
        remedy = (
            "Add the server property 'cursorColumn' (a column that grows with each change, or xmin),"
            " or the schema property 'loadMode: snapshot' to take the whole table with each pull."
        )
        return fault("cursorColumn", "neither a cursor nor a snapshot: each pull would repeat the table.", remedy)
    if cursor is not None and mode == "snapshot":
        remedy = "Leave 'cursorColumn' out, or use 'loadMode: upsert'."
        return fault("cursorColumn", "a snapshot is the whole table, a cursor brings a part of it.", remedy)
    if cursor is None or cursor == TRANSACTION_CURSOR:
        if overlap is not None:
            return fault("overlap", "an overlap means nothing here.", "Leave 'overlap' out.")
        return Overlap(0, False)
    if overlap is None:
        remedy = "Give more than the longest transaction that writes to it takes, such as 'overlap: 15m'."
        return fault("cursorColumn", "a cursor without an overlap loses rows that are committed late.", remedy)
    text = str(overlap)
    if re.fullmatch(r"\d{1,18}", text):
        return Overlap(int(text), False)
    seconds = _duration(overlap)
    if seconds is None:
        remedy = "Give a duration such as 15m, 2h or 1d, or a plain number for a cursor of whole numbers."
        return fault("overlap", f"overlap is '{overlap}'.", remedy)
    return Overlap(seconds, True)


def _duration(value: Any) -> int | None:
    match = _DURATION.fullmatch(str(value))
    return int(match[1]) * SECONDS[match[2]] if match else None


def _place(node: dict[str, Any], key: str) -> tuple[str | int, ...]:
    """Where in the document a key of the server stands, be it one of the standard or a custom property."""
    for index, item in enumerate(node.get("customProperties") or []):
        if str(item.get("property")) == key:
            return ("servers", 0, "customProperties", index)
    return ("servers", 0, key) if key in node else ("servers", 0)
