"""Run the SQL that dbt compiles on tables of the test's own, without a warehouse file.

Compiling costs seconds, running a model on a handful of rows milliseconds: so a property test can try
hundreds of histories on the very text that a run executes.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import duckdb
import polars as pl
import yaml

from tests.dbt_project.project import ANY_DAY, DBT_PROJECT, compiled

SCHEMAS = ("intermediate", "marts")


def compiled_models(as_of: dt.date) -> dict[str, str]:
    """SQL of the value and journey models by name, with the default thresholds and this last day."""
    return {name: sql.replace(ANY_DAY, as_of.isoformat()) for name, sql in _compile().items()}


@functools.cache
def _compile() -> Mapping[str, str]:
    """Compile once for all days."""
    folders = [f"path:models/{part}/{topic}" for part in ("intermediate", "marts") for topic in ("value", "journey")]
    return compiled(*folders)


@contextmanager
def empty_warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an in-memory database under the name, and with the seeds, that compiled models expect."""
    with duckdb.connect() as con:
        con.execute("ATTACH ':memory:' AS warehouse; USE warehouse")
        for schema in SCHEMAS:
            con.execute(f"CREATE SCHEMA {schema}")
        for properties in sorted(DBT_PROJECT.glob("seeds/*.yml")):
            for seed in yaml.safe_load(properties.read_text())["seeds"]:
                types = seed["config"]["column_types"]
                columns = {name: kind.replace("string", "varchar") for name, kind in types.items()}
                source = f"read_csv('{DBT_PROJECT}/seeds/{seed['name']}.csv', header = true, columns = {columns})"
                con.execute(f"CREATE TABLE intermediate.{seed['name']} AS FROM {source}")
        yield con


def put_table(con: duckdb.DuckDBPyConnection, table: str, rows: pl.DataFrame) -> None:
    """Create or replace ``schema.table`` with these rows."""
    con.register("given_rows", rows)
    con.execute(f"CREATE OR REPLACE TABLE {table} AS FROM given_rows")
    con.unregister("given_rows")


def run_models(con: duckdb.DuckDBPyConnection, models: Mapping[str, str], *tables: str) -> None:
    """Create or replace the tables (``schema.model``) from the models' SQL, in the order given."""
    for table in tables:
        con.execute(f"CREATE OR REPLACE TABLE {table} AS\n{models[table.split('.')[1]]}")
