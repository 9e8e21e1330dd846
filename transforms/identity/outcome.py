"""The tables that an identity run writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.identity.apart import NEVER
from transforms.identity.levels import BEYOND
from transforms.identity.limits import Guarded
from transforms.identity.masking import masked_expression
from transforms.identity.overrides import Verdict
from transforms.identity.place import NOBODYS
from transforms.sql import identifier, literal

# Type of what stands in for an identifier where a record has none, and a link says whose it is.
RECORD = "record"


def store_clusters(connection: duckdb.DuckDBPyConnection, guarded: Guarded) -> None:
    """Make ``keyed``, one row per node and per record that only a link has made somebody's; ``linked``, those with a
    cluster; and ``clustered`` (observation, cluster).

    Needs ``nodes``, ``sightings`` and ``record_rows``.
    """
    nodes = np.arange(len(guarded.cluster), dtype=np.int32)
    of_node = {"node": nodes, "cluster": guarded.cluster, "contest": guarded.reason}
    connection.register("cluster_of_node", pa.table({name: pa.array(values) for name, values in of_node.items()}))
    reasons = {
        "contest": pa.array(range(len(guarded.reasons)), pa.int16()),
        "contested": pa.array(guarded.reasons, pa.string()),
    }
    connection.register("contests", pa.table(reasons))
    store_rows(connection, guarded)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE keyed AS
        SELECT n.node, n.level, n.type, n.value, {masked_expression("n.type", "n.value")} AS shown,
               keyed_hash(n.type || ':' || n.value, 32) AS identifier_key,
               nullif(c.cluster, -1) AS cluster,
               CASE WHEN r.contested IS NOT NULL THEN 'contested' WHEN n.status = 'usable' THEN 'linked'
                    ELSE n.status END AS status,
               coalesce(r.contested, n.reason) AS reason,
               s.first_seen_at, s.last_seen_at, s.sources, s.records
        FROM nodes n JOIN cluster_of_node c USING (node) JOIN sightings s USING (node)
        LEFT JOIN contests r USING (contest)
        UNION ALL
        SELECT {len(nodes)} + h.observation, 127, '{RECORD}', h.identity_key, h.identity_key,
               keyed_hash('{RECORD}:' || h.identity_key, 32), c.cluster, 'linked', NULL, h.first_seen_at,
               h.last_seen_at, h.source, h.records
        FROM held h JOIN clustered c USING (observation)
        WHERE h.observation IN (SELECT observation FROM record_rows WHERE is_alone)
    """)
    for view in ("cluster_of_node", "contests"):
        connection.unregister(view)
    connection.execute("CREATE OR REPLACE TEMP VIEW linked AS SELECT * FROM keyed WHERE cluster IS NOT NULL")


def store_rows(connection: duckdb.DuckDBPyConnection, guarded: Guarded) -> None:
    """Make ``clustered`` (observation, cluster): the observations that belong to somebody."""
    rows = np.arange(len(guarded.row_cluster), dtype=np.int32)
    of_row = pa.table({"observation": pa.array(rows), "cluster": pa.array(guarded.row_cluster)})
    connection.register("cluster_of_row", of_row)
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE clustered AS
        SELECT observation, cluster FROM cluster_of_row WHERE cluster >= 0
    """)
    connection.unregister("cluster_of_row")


def make_outcome(connection: duckdb.DuckDBPyConnection, kinds: Sequence[str], refused: npt.NDArray[np.integer]) -> None:
    """Make ``assignments``, ``usable_identifiers``, ``customers``, ``linked_records``, ``seen`` and ``blocked``, each
    with the ``component`` of its rows, as :mod:`transforms.identity.store` describes them.

    :param kinds: types of identifiers.
    :param refused: of each observation the number of identifiers that do not link in it though they could.
    """
    connection.execute(f"""
        CREATE OR REPLACE TEMP VIEW usable_identifiers AS
        SELECT type AS identifier_type, value AS identifier_value, identifier_key, shown AS identifier_masked,
               customer_id, status, reason, first_seen_at, last_seen_at, sources, records, component
        FROM keyed JOIN component_of_node USING (node) LEFT JOIN customer_of_cluster USING (cluster)
        WHERE type <> '{RECORD}' AND status IN ('linked', 'contested')
    """)
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE assignments AS
        SELECT identity_key, customer_id, component
        FROM held JOIN clustered USING (observation) JOIN customer_of_cluster USING (cluster)
        JOIN component_of_cluster USING (cluster)
        WHERE observation NOT IN (SELECT observation FROM record_rows WHERE is_alone)
    """)
    connection.execute("""
        CREATE OR REPLACE TEMP VIEW linked_records AS
        SELECT DISTINCT r.record_id, customer_id, CASE WHEN NOT r.is_alone THEN h.identity_key END AS identity_key,
               component
        FROM record_rows r JOIN held h USING (observation) JOIN clustered USING (observation)
        JOIN customer_of_cluster USING (cluster) JOIN component_of_cluster USING (cluster)
    """)
    connection.execute("""
        CREATE OR REPLACE TEMP VIEW customers AS
        WITH seen AS (
            SELECT cluster, min(first_seen_at) AS first_seen_at, max(last_seen_at) AS last_seen_at
            FROM held JOIN clustered USING (observation) GROUP BY cluster
        ),
        owned AS (SELECT cluster, count(*) AS identifiers FROM linked GROUP BY cluster)
        SELECT customer_id, i.created_run, seen.first_seen_at, seen.last_seen_at, owned.identifiers, component
        FROM customer_of_cluster JOIN component_of_cluster USING (cluster)
        JOIN seen USING (cluster) JOIN owned USING (cluster) JOIN issued i USING (customer_id)
    """)
    numbers = {"observation": np.arange(len(refused)), "refused": refused}
    connection.register("refused_of_row", pa.table({name: pa.array(values) for name, values in numbers.items()}))
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE seen AS
        SELECT identity_key, fingerprint, b.label AS by_identifiers, c.cluster IS NULL AS is_anonymous,
               coalesce(f.refused, 0) AS refused, records, component
        FROM held JOIN component_of_row USING (observation) LEFT JOIN clustered c USING (observation)
        LEFT JOIN refused_of_row f USING (observation) LEFT JOIN by_identifiers b USING (identity_key)
        -- Observations that stand for a record without identifiers are made by its links.
        WHERE fingerprint IS NOT NULL
    """)
    connection.unregister("refused_of_row")
    cells = " UNION ALL ".join(
        f"SELECT observation, {identifier(kind)} AS node, source, first_seen_at, last_seen_at, records FROM held"
        for kind in kinds
    )
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE blocked AS
        SELECT k.identifier_key, k.type AS identifier_type, k.value AS identifier_value, k.status, k.reason,
               min(c.first_seen_at) AS first_seen_at, max(c.last_seen_at) AS last_seen_at,
               array_to_string(list_sort(list(DISTINCT c.source)), ',') AS sources,
               CAST(sum(c.records) AS BIGINT) AS records, component
        FROM ({cells}) c JOIN keyed k USING (node) JOIN component_of_row USING (observation)
        WHERE k.status NOT IN ('linked', 'contested') GROUP BY ALL
    """)


def make_links(connection: duckdb.DuckDBPyConnection, verdicts: Sequence[Verdict]) -> None:
    """Make ``links`` and ``overrides`` as :mod:`transforms.identity.store` describes them. Needs ``tried_links``."""
    ends = {
        side: f"""
            LEFT JOIN clustered {side}_row ON {side}_row.observation = t.{side}_row
            LEFT JOIN keyed {side}_node ON {side}_node.node = t.{side}_node AND t.{side}_row < 0
            LEFT JOIN customer_of_cluster {side}_end
                ON {side}_end.cluster = coalesce({side}_row.cluster, {side}_node.cluster)
            LEFT JOIN placed {side}_placed ON {side}_placed.vertex
                = CASE WHEN t.{side}_row >= 0 THEN t.{side}_row + (SELECT count(*) FROM nodes) ELSE t.{side}_node END"""
        for side in ("left", "right")
    }
    connection.execute(f"""
        CREATE OR REPLACE TEMP VIEW links AS
        SELECT t.kind, t.left_side, t.right_side, left_end.customer_id AS left_customer_id,
               right_end.customer_id AS right_customer_id, t.rule, t.probability, t.model, t.author, t.decided_on,
               CASE WHEN t.refused IS NULL THEN 'linked' ELSE 'refused' END AS status, t.refused AS reason,
               coalesce(left_placed.component, right_placed.component, '{NOBODYS}') AS component
        FROM tried_links t {ends["left"]} {ends["right"]}
    """)
    decisions = [verdict.override for verdict in verdicts]
    columns = {
        "line": pa.array([o.line for o in decisions], pa.int64()),
        "action": pa.array([o.action for o in decisions], pa.string()),
        "left_side": pa.array([o.left.text for o in decisions], pa.string()),
        "right_side": pa.array([o.right.text for o in decisions], pa.string()),
        "author": pa.array([o.author for o in decisions], pa.string()),
        "reason": pa.array([o.reason for o in decisions], pa.string()),
        "decided_on": pa.array([o.date for o in decisions], pa.date32()),
        "expires_on": pa.array([o.expires for o in decisions], pa.date32()),
        "status": pa.array([verdict.status for verdict in verdicts], pa.string()),
        "detail": pa.array([verdict.detail for verdict in verdicts], pa.string()),
    }
    connection.register("verdicts", pa.table(columns))
    connection.execute("CREATE OR REPLACE TEMP TABLE overrides AS FROM verdicts")
    connection.unregister("verdicts")


def figures(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """The figures of :class:`transforms.identity.report.IdentityReport` that are counted from the whole outcome.

    Needs ``outcome_identifiers``, ``outcome_customers``, ``outcome_observations`` and ``outcome_links``.
    """
    identifiers: dict[str, dict[str, int]] = {}
    for kind, status, count in connection.execute(
        "SELECT identifier_type, status, count(*) FROM outcome_identifiers GROUP BY ALL ORDER BY ALL"
    ).fetchall():
        identifiers.setdefault(kind, {})[status] = count
    customers, largest = _row(connection, "SELECT count(*), coalesce(max(identifiers), 0) FROM outcome_customers")
    observations, anonymous, records, refused = _row(
        connection,
        """
        SELECT count(*), count(*) FILTER (is_anonymous),
               CAST(coalesce(sum(records) FILTER (is_anonymous), 0) AS BIGINT),
               CAST(coalesce(sum(refused), 0) AS BIGINT)
        FROM outcome_observations
        """,
    )
    linked, refused_links = _row(
        connection,
        "SELECT count(*) FILTER (status = 'linked'), count(*) FILTER (status = 'refused') FROM outcome_links",
    )
    [merges] = _row(
        connection,
        f"SELECT count(*) FROM outcome_identifiers WHERE reason IN ({literal(BEYOND)}, {literal(NEVER)})",
    )
    return {
        "observations": observations,
        "anonymous_observations": anonymous,
        "anonymous_records": records,
        "identifiers": identifiers,
        "customers": customers,
        "largest_customer": largest,
        "links": linked,
        "refused_edges": refused + refused_links,
        "refused_merges": merges,
    }


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None, "an aggregate always has a row"  # noqa: S101
    return row
