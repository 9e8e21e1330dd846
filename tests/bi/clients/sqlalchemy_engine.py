"""SQLAlchemy with either dialect: the default pool keeps a connection open, NullPool opens one per use."""

import sys

import sqlalchemy
from sqlalchemy.pool import NullPool
from talk import record, refusal, serve

path, question = sys.argv[1:]
url = f"duckdb:///{path}"
engine = sqlalchemy.create_engine(url, connect_args={"read_only": True})
fresh = sqlalchemy.create_engine(url, connect_args={"read_only": True}, poolclass=NullPool)


def ask(engine):
    with engine.connect() as connection:
        result = connection.execute(sqlalchemy.text(question))
        return record(list(result.keys()), result.fetchall())


def reopen():
    engine.dispose()
    return ask(engine)


def read_fresh():
    # While the other engine holds the file open, this process would be given the old one.
    engine.dispose()
    return ask(fresh)


def write():
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("DELETE FROM marts.customer_360"))


def columns():
    return {column["name"]: column for column in sqlalchemy.inspect(engine).get_columns("customer_360", "marts")}


serve(
    {
        "version": lambda: sqlalchemy.__version__,
        "read": lambda: ask(engine),
        "reopen": reopen,
        "fresh": read_fresh,
        "write": lambda: refusal(write),
        "comment": lambda: columns()["segment"]["comment"],
        "types": lambda: {name: str(column["type"]) for name, column in columns().items()},
        "tables": lambda: sorted(sqlalchemy.inspect(engine).get_table_names("marts")),
    }
)
