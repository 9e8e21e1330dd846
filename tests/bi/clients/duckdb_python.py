"""DuckDB's own Python client."""

import sys

import duckdb
from talk import record, refusal, serve

path, question = sys.argv[1:]
connection = duckdb.connect(path, read_only=True)


def read():
    cursor = connection.execute(question)
    return record([column[0] for column in cursor.description], cursor.fetchall())


def beside():
    """A second connection of this process, while the first one is open."""
    with duckdb.connect(path, read_only=True) as second:
        cursor = second.execute(question)
        return record([column[0] for column in cursor.description], cursor.fetchall())


def attached():
    """The same by attaching the file to a database in memory, while the first connection is open."""
    with duckdb.connect() as memory:
        try:
            memory.execute(f"ATTACH '{path}' AS customers (READ_ONLY); USE customers")
        except duckdb.BinderException as error:
            return str(error)
        cursor = memory.execute(question)
        return record([column[0] for column in cursor.description], cursor.fetchall())


def reopen():
    global connection
    connection.close()
    connection = duckdb.connect(path, read_only=True)
    return read()


serve(
    {
        "version": lambda: duckdb.__version__,
        "read": read,
        "reopen": reopen,
        "beside": beside,
        "attached": attached,
        "write": lambda: refusal(lambda: connection.execute("DELETE FROM marts.customer_360")),
        "comment": lambda: connection.execute(
            "SELECT comment FROM duckdb_columns() WHERE table_name = 'customer_360' AND column_name = 'segment'"
        ).fetchone()[0],
    }
)
