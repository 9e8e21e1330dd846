"""How common a value is: what a model knows of the values of its columns, without holding a single one.

Values stand under a keyed hash, and only those of two profiles at least: what a person has for themselves is not in it,
and what is in it cannot be read without the secret of the installation. A value that is not in it counts as seen once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from transforms.linkage.roles import Role
from transforms.sql import identifier, literal

TERMS = pa.schema([("column", pa.string()), ("value", pa.string()), ("profiles", pa.int64())])


@dataclass(frozen=True)
class Frequencies:
    """``filled``: profiles that fill a column; ``terms``: profiles that hold a value of it, see :data:`TERMS`."""

    filled: dict[str, int]
    terms: pa.Table

    @property
    def digest(self) -> str:
        """Tells two tables of terms apart."""
        content = hashlib.sha256()
        for column in TERMS.names:
            content.update("\n".join(map(str, self.terms[column].to_pylist())).encode() + b"\0")
        return content.hexdigest()


def frequency_columns(roles: Iterable[Role]) -> list[str]:
    """Columns whose rare values count more."""
    return sorted({level.frequency for role in roles for level in role.levels if level.frequency})


def count_terms(connection: duckdb.DuckDBPyConnection, columns: Collection[str]) -> Frequencies:
    """Count the values of columns of ``profiles``. Needs :func:`transforms.identity.keys.define_keyed_hash`."""
    if not columns:
        return Frequencies({}, TERMS.empty_table())
    filled = connection.execute(f"SELECT {', '.join(f'count({name})' for name in columns)} FROM profiles").fetchall()[0]
    counted = " UNION ALL ".join(
        f'SELECT {literal(name)} AS "column", {_hashed(name)} AS value, count(*) AS profiles FROM profiles'
        f" WHERE {name} IS NOT NULL GROUP BY {name} HAVING count(*) > 1"
        for name in columns
    )
    terms = connection.sql(f"FROM ({counted}) ORDER BY ALL").to_arrow_table().cast(TERMS)
    return Frequencies(dict(zip(columns, filled, strict=True)), terms)


def look_up_terms(connection: duckdb.DuckDBPyConnection, frequencies: Frequencies) -> dict[str, str]:
    """Make a table (<column>, tf_<column>) of the share of profiles that hold a value, for those that can be equal.

    :return: name of the table of each column. Needs :func:`transforms.identity.keys.define_keyed_hash`.
    """
    connection.register("known_terms", frequencies.terms)
    tables = {name: f"terms_of_{name}" for name in frequencies.filled}
    for name, table in tables.items():
        connection.execute(f"""
            CREATE OR REPLACE TABLE {identifier(table)} AS
            SELECT {name}, coalesce(t.profiles, 1) / CAST({frequencies.filled[name]} AS DOUBLE) AS tf_{name}
            FROM (SELECT {name} FROM profiles WHERE {name} IS NOT NULL GROUP BY {name} HAVING count(*) > 1)
            LEFT JOIN (FROM known_terms WHERE "column" = {literal(name)}) t ON t.value = {_hashed(name)}
        """)
    connection.unregister("known_terms")
    return tables


def _hashed(column: str) -> str:
    return f"keyed_hash({literal(f'linkage:{column}:')} || {column}, 16)"
