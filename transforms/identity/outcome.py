"""The tables that an identity run writes."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from transforms.identity.components import Nodes
from transforms.identity.limits import Guarded
from transforms.identity.masking import masked_expression


def store_clusters(connection: duckdb.DuckDBPyConnection, matrix: Nodes, guarded: Guarded) -> None:
    """Make ``keyed``, one row per node; ``linked``, those with a cluster; and ``clustered`` (observation, cluster).

    Needs ``nodes`` and ``sightings``.
    """
    nodes = np.arange(len(guarded.cluster), dtype=np.int32)
    of_node = {"node": nodes, "cluster": guarded.cluster, "contest": guarded.reason}
    # All linked identifiers of an observation have the same cluster, so any of them tells it.
    row_cluster = np.append(guarded.cluster, np.int32(-1))[matrix].max(axis=1, initial=-1)
    connection.register("cluster_of_node", pa.table({name: pa.array(values) for name, values in of_node.items()}))
    reasons = {
        "contest": pa.array(range(len(guarded.reasons)), pa.int16()),
        "contested": pa.array(guarded.reasons, pa.string()),
    }
    connection.register("contests", pa.table(reasons))
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE keyed AS
        SELECT n.node, n.type, n.value, keyed_hash(n.type || ':' || n.value, 32) AS identifier_key,
               nullif(c.cluster, -1) AS cluster,
               CASE WHEN r.contested IS NOT NULL THEN 'contested' WHEN n.status = 'usable' THEN 'linked'
                    ELSE n.status END AS status,
               coalesce(r.contested, n.reason) AS reason,
               s.first_seen_at, s.last_seen_at, s.sources, s.records
        FROM nodes n JOIN cluster_of_node c USING (node) JOIN sightings s USING (node)
        LEFT JOIN contests r USING (contest)
    """)
    of_row = {"observation": np.arange(len(row_cluster), dtype=np.int32), "cluster": row_cluster}
    connection.register("cluster_of_row", pa.table({name: pa.array(values) for name, values in of_row.items()}))
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE clustered AS
        SELECT observation, cluster FROM cluster_of_row WHERE cluster >= 0
    """)
    for view in ("cluster_of_node", "contests", "cluster_of_row"):
        connection.unregister(view)
    connection.execute("CREATE OR REPLACE TEMP VIEW linked AS SELECT * FROM keyed WHERE cluster IS NOT NULL")


def make_outcome(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``assignments``, ``identifiers`` and ``customers`` as :mod:`transforms.identity.store` describes them."""
    connection.execute(f"""
        CREATE OR REPLACE TEMP VIEW identifiers AS
        SELECT type AS identifier_type, value AS identifier_value, identifier_key,
               {masked_expression("type", "value")} AS identifier_masked,
               customer_id, status, reason, first_seen_at, last_seen_at, sources, records
        FROM keyed LEFT JOIN customer_of_cluster USING (cluster)
    """)
    connection.execute("""
        CREATE OR REPLACE TEMP VIEW assignments AS
        SELECT identity_key, customer_id
        FROM held JOIN clustered USING (observation) JOIN customer_of_cluster USING (cluster)
    """)
    connection.execute("""
        CREATE OR REPLACE TEMP VIEW customers AS
        WITH seen AS (
            SELECT cluster, min(first_seen_at) AS first_seen_at, max(last_seen_at) AS last_seen_at
            FROM held JOIN clustered USING (observation) GROUP BY cluster
        ),
        owned AS (SELECT cluster, count(*) AS identifiers FROM linked GROUP BY cluster)
        SELECT customer_id, i.created_run, seen.first_seen_at, seen.last_seen_at, owned.identifiers
        FROM customer_of_cluster
        JOIN seen USING (cluster) JOIN owned USING (cluster) JOIN issued i USING (customer_id)
    """)


def figures(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """The figures of :class:`transforms.identity.report.IdentityReport` that are counted from tables."""
    identifiers: dict[str, dict[str, int]] = {}
    for kind, status, count in connection.execute(
        "SELECT type, status, count(*) FROM keyed GROUP BY ALL ORDER BY type, status"
    ).fetchall():
        identifiers.setdefault(kind, {})[status] = count
    customers, largest = _row(
        connection,
        "SELECT count(*), coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM linked GROUP BY cluster)",
    )
    observations, anonymous, records = _row(
        connection,
        """
        SELECT count(*), count(*) FILTER (c.cluster IS NULL),
               CAST(coalesce(sum(records) FILTER (c.cluster IS NULL), 0) AS BIGINT)
        FROM held LEFT JOIN clustered c USING (observation)
        """,
    )
    return {
        "observations": observations,
        "anonymous_observations": anonymous,
        "anonymous_records": records,
        "identifiers": identifiers,
        "customers": customers,
        "largest_customer": largest,
    }


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None, "an aggregate always has a row"  # noqa: S101
    return row
