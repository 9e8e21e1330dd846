"""Polars through DuckDB's Python client."""

import sys

import duckdb
import polars
from talk import record, refusal, serve

path, question = sys.argv[1:]
connection = duckdb.connect(path, read_only=True)


def read():
    frame = connection.sql(question).pl()
    assert frame.schema["revenue"].is_decimal() and frame.schema["as_of"] == polars.Date
    return record(frame.columns, frame.rows())


def reopen():
    global connection
    connection.close()
    connection = duckdb.connect(path, read_only=True)
    return read()


serve(
    {
        "version": lambda: polars.__version__,
        "read": read,
        "reopen": reopen,
        "write": lambda: refusal(lambda: connection.execute("DELETE FROM marts.customer_360")),
        "comment": lambda: connection.sql(
            "SELECT comment FROM duckdb_columns() WHERE table_name = 'customer_360' AND column_name = 'segment'"
        ).pl()["comment"][0],
    }
)
