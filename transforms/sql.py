"""Quoting, and the DuckDB connections that the platform opens."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import Any

import duckdb

from transforms.settings import Settings

_connections = count(1)


def identifier(name: str) -> str:
    """Quote a column or table name."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | Path) -> str:
    """Quote a text where a value cannot be bound, for instance in COPY and in table functions' options."""
    return "'" + str(value).replace("'", "''") + "'"


def columns(names: list[str] | tuple[str, ...], prefix: str = "") -> str:
    """Quote and join column names, each with an optional table alias."""
    dot = f"{prefix}." if prefix else ""
    return ", ".join(dot + identifier(name) for name in names)


def scalars(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """The one row of a query that has exactly one, such as an aggregate without GROUP BY."""
    row = connection.execute(query).fetchone()
    if row is None:
        raise LookupError(f"no row: {query}")
    return row


def raise_if_machine(error: duckdb.Error) -> None:
    """Pass on an error of the machine (memory, disk), which no file or contract is to blame for.

    A file that was refused for it would stay refused when the machine is well again.
    """
    text = str(error)
    full = "No space left" in text or "max_temp_directory_size" in text or "File too large" in text
    # The text of these two quotes the file, and a file may hold such words.
    quotes = isinstance(error, duckdb.InvalidInputException | duckdb.ConversionException)
    if isinstance(error, duckdb.OutOfMemoryException) or (full and not quotes):
        raise error


def scratch_options(settings: Settings) -> dict[str, str | bool | int | float | list[str]]:
    """Options of a database that works within the memory limit and spills beside the lake."""
    settings.scratch.mkdir(parents=True, exist_ok=True)
    return {
        "memory_limit": settings.memory_limit,
        "threads": settings.threads,
        # One folder each, that DuckDB makes when it needs it: the first to close one would empty it for all.
        "temp_directory": str(settings.scratch / f"spill-{os.getpid()}-{next(_connections)}"),
        # A checkpoint would save nothing here, and pack tables that are soon dropped.
        "checkpoint_threshold": "1TB",
        # A machine without the internet must behave like one with it.
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def scratch_connection(settings: Settings) -> duckdb.DuckDBPyConnection:
    """Open an in-memory database with ``scratch_options``."""
    connection = duckdb.connect(":memory:", config=scratch_options(settings))
    connection.execute("SET TimeZone = 'UTC'")
    return connection
