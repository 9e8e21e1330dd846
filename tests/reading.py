"""Connections for tests that look into files: a database takes longer to open than most of their queries do."""

from __future__ import annotations

from functools import cache

import duckdb


@cache
def _database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    # What is killed and made anew may be of the same size and the same moment.
    connection.execute("SET enable_external_file_cache = false")
    return connection


def reader() -> duckdb.DuckDBPyConnection:
    """A connection of its own to an empty database that the whole process shares: create nothing but TEMP there."""
    return _database().cursor()
