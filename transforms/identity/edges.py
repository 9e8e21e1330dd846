"""From observations to the graph: which observation holds which identifier, as small integers.

Tables it leaves on the connection:

- ``nodes`` (node, level, type, value, status, reason): one row per identifier. Nodes are numbered by
  the merging order of their type, then by value: a number depends on the data, never on the order of rows.
- ``held`` (observation, identity_key, source, first_seen_at, last_seen_at, records, fingerprint, and a node for each
  type): one row per observation, null where it holds no value of the type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from transforms.identity.components import Nodes
from transforms.identity.normalise import normalise_values, phone_region_expression
from transforms.identity.numbering import calling_code
from transforms.identity.policy import Policy
from transforms.identity.tenures import Days
from transforms.sql import identifier, literal

OBSERVATIONS = "observations"
MODEL = "intermediate.int_identity_observations"


@contextmanager
def observed(connection: duckdb.DuckDBPyConnection, warehouse: Path, phone_regions: Mapping[str, str]) -> Iterator[str]:
    """Attach the warehouse read-only, and give the query of its observations: ``int_identity_observations`` with the
    telephone ``region`` of the source.

    It is let go at the end, so that dbt finds it free.

    :raises FileNotFoundError: if there is no warehouse.
    :raises ValueError: if a region is not an ISO region with telephone numbers.
    """
    if not warehouse.exists():
        raise FileNotFoundError(f"{warehouse}: there is no warehouse yet, build int_identity_observations first")
    for region in set(phone_regions.values()):
        calling_code(region)
    connection.execute(f"ATTACH {literal(warehouse)} AS warehouse (READ_ONLY)")
    try:
        yield (f"SELECT *, {phone_region_expression(phone_regions, 'source')} AS region FROM warehouse.{MODEL}")
    finally:
        connection.execute("DETACH warehouse")


def read_observations(
    connection: duckdb.DuckDBPyConnection, warehouse: Path, phone_regions: Mapping[str, str], only: str | None = None
) -> None:
    """Copy ``intermediate.int_identity_observations`` into the connection.

    :param only: table of the ``fingerprint`` of those to copy; all without it.
    :raises FileNotFoundError: if there is no warehouse.
    :raises ValueError: if a region is not an ISO region with telephone numbers.
    :raises duckdb.CatalogException: if the warehouse has no such table.
    """
    with observed(connection, warehouse, phone_regions) as query:
        where = ""
        if only:
            # By their places few rows are read without those between them.
            places = f"SELECT rowid FROM warehouse.{MODEL} SEMI JOIN {identifier(only)} USING (fingerprint)"
            where = f" WHERE rowid IN ({places})"
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {OBSERVATIONS} AS {query}{where}")


def normalise_observed(
    connection: duckdb.DuckDBPyConnection, policy: Policy, progress: Callable[[str], None] | None = None
) -> None:
    """Make ``normalised`` from the observations; see :func:`transforms.identity.normalise.normalise_values`."""
    distinct = [
        f"SELECT {literal(kind)} AS type, {_region(kind)} AS region, {identifier(kind)} AS raw"
        f" FROM {OBSERVATIONS} WHERE {identifier(kind)} IS NOT NULL GROUP BY ALL"
        for kind in policy.levels
    ]
    connection.execute(f"CREATE OR REPLACE TEMP TABLE raw_values AS {' UNION ALL '.join(distinct)}")
    normalise_values(connection, policy, progress)


def build_nodes(
    connection: duckdb.DuckDBPyConnection, policy: Policy, progress: Callable[[str], None] | None = None
) -> None:
    """Make ``nodes`` and ``held`` from the observations, and drop the observations."""
    normalise_observed(connection, policy, progress)
    rank = " ".join(f"WHEN {literal(kind)} THEN {level}" for level, kind in enumerate(policy.levels))
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE nodes AS
        SELECT CAST(row_number() OVER (ORDER BY level, value) - 1 AS INTEGER) AS node, *
        FROM (
            -- 'blocked' sorts before 'usable': two spellings of one value cannot disagree about it.
            SELECT CAST(CASE type {rank} END AS TINYINT) AS level, type, value,
                   min(status) AS status, min(reason) AS reason
            FROM normalised GROUP BY type, value
        )
    """)
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE spellings AS
        SELECT n.type, n.region, n.raw, d.node FROM normalised n JOIN nodes d USING (type, value)
    """)
    joins = [
        f"LEFT JOIN (SELECT region, raw, node FROM spellings WHERE type = {literal(kind)}) {identifier('s_' + kind)}"
        f" ON {identifier('s_' + kind)}.raw = o.{identifier(kind)}"
        + (f" AND {identifier('s_' + kind)}.region IS NOT DISTINCT FROM o.region" if kind == "phone" else "")
        for kind in policy.levels
    ]
    held = ", ".join(f"{identifier('s_' + kind)}.node AS {identifier(kind)}" for kind in policy.levels)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE held AS
        SELECT CAST(row_number() OVER () - 1 AS INTEGER) AS observation,
               o.identity_key, o.source, o.first_seen_at, o.last_seen_at, o.records, o.fingerprint, {held}
        FROM {OBSERVATIONS} o {" ".join(joins)}
    """)
    for table in (OBSERVATIONS, "raw_values", "folded", "phone_texts", "normalised", "spellings"):
        connection.execute(f"DROP TABLE {table}")


def _region(kind: str) -> str:
    return "region" if kind == "phone" else "CAST(NULL AS VARCHAR)"


def graph(connection: duckdb.DuckDBPyConnection, policy: Policy) -> tuple[Nodes, npt.NDArray[np.int8]]:
    """The graph as arrays.

    :return: observations × types in merging order, a node or -1 where the observation has no usable value, rows in the
        order of ``held``; and the merging level of each node.
    """
    nodes = connection.execute("SELECT level, status = 'usable' AS usable FROM nodes ORDER BY node").fetchnumpy()
    # Index -1 reads the last entry: no node is no usable node.
    usable = np.append(np.asarray(nodes["usable"], dtype=bool), False)
    columns = ", ".join(f"coalesce({identifier(kind)}, -1) AS {identifier(kind)}" for kind in policy.levels)
    held = connection.execute(f"SELECT {columns} FROM held ORDER BY observation").fetchnumpy()
    matrix = np.stack([np.asarray(held[kind], dtype=np.int32) for kind in policy.levels], axis=1)
    matrix[~usable[matrix]] = -1
    return matrix, np.asarray(nodes["level"], dtype=np.int8)


def count_held(connection: duckdb.DuckDBPyConnection) -> int:
    """Number of observations."""
    [(rows,)] = connection.execute("SELECT count(*) FROM held").fetchall()
    return rows


def days_seen(connection: duckdb.DuckDBPyConnection) -> Days:
    """First and last day of each observation, in the order of ``held``."""
    columns = connection.execute("""
        SELECT datediff('day', DATE '1970-01-01', first_seen_at) AS first,
               datediff('day', DATE '1970-01-01', last_seen_at) AS last
        FROM held ORDER BY observation
    """).fetchnumpy()
    return Days(*(np.asarray(columns[name], dtype=np.int64) for name in ("first", "last")))


def sum_sightings(connection: duckdb.DuckDBPyConnection, policy: Policy) -> None:
    """Make ``sightings`` (node, first_seen_at, last_seen_at, sources, records): one row per node."""
    seen = " UNION ALL ".join(
        f"SELECT {identifier(kind)} AS node, source, first_seen_at, last_seen_at, records FROM held"
        f" WHERE {identifier(kind)} IS NOT NULL"
        for kind in policy.levels
    )
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE sightings AS
        SELECT node, min(first_seen_at) AS first_seen_at, max(last_seen_at) AS last_seen_at,
               array_to_string(list_sort(list(source)), ',') AS sources, CAST(sum(records) AS BIGINT) AS records
        FROM (
            SELECT node, source, min(first_seen_at) AS first_seen_at, max(last_seen_at) AS last_seen_at,
                   sum(records) AS records
            FROM ({seen}) GROUP BY node, source
        )
        GROUP BY node
    """)
