"""pandas through DuckDB's Python client."""

import sys

import duckdb
import pandas
from talk import plain, refusal, serve

path, question = sys.argv[1:]
connection = duckdb.connect(path, read_only=True)


def read():
    frame = connection.sql(question).df()
    (row,) = frame.to_dict("records")
    # pandas has no decimals: sums come as binary fractions, and people round them.
    assert frame["revenue"].dtype == "float64" and str(frame["first_seen"].dtype).startswith("datetime64")
    assert str(frame["as_of"].dtype).startswith("datetime64")
    return {
        "run_id": row["run_id"],
        "as_of": row["as_of"].date().isoformat(),
        "customers": int(row["customers"]),
        "revenue": f"{row['revenue']:.2f}",
        "first_seen": plain(row["first_seen"].to_pydatetime()),
    }


def reopen():
    global connection
    connection.close()
    connection = duckdb.connect(path, read_only=True)
    return read()


serve(
    {
        "version": lambda: pandas.__version__,
        "read": read,
        "reopen": reopen,
        "write": lambda: refusal(lambda: connection.execute("DELETE FROM marts.customer_360")),
        "comment": lambda: connection.sql(
            "SELECT comment FROM duckdb_columns() WHERE table_name = 'customer_360' AND column_name = 'segment'"
        ).df()["comment"][0],
    }
)
