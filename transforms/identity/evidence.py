"""What holds customers together and what was refused, as tables: edges, clusters, refusals.

The graph that they describe has identifiers for nodes; two are joined where records hold both, or where a link joins
the records that they stand for. A record that holds none stands for itself.
"""

from __future__ import annotations

from itertools import combinations

import duckdb
import numpy as np
import pyarrow as pa

from transforms.identity.bridges import smaller_sides
from transforms.identity.components import numbered
from transforms.identity.limits import CUTS, Guarded
from transforms.identity.policy import Policy
from transforms.identity.public import PUBLIC
from transforms.sql import identifier, literal

TOGETHER = "seen_together"
HANDS = "changed hands"


def make_evidence(connection: duckdb.DuckDBPyConnection, guarded: Guarded, policy: Policy) -> None:
    """Make ``edges``, ``clusters`` and ``refusals`` as :mod:`transforms.identity.store` describes them.

    Needs ``held``, ``keyed``, ``clustered``, ``customer_of_cluster`` and ``tried_links``.
    """
    _store_cut(connection, guarded)
    _make_pairs(connection, policy)
    _find_bridges(connection)
    _make_edges(connection)
    _make_clusters(connection)
    _make_refusals(connection, guarded, policy)


def _store_cut(connection: duckdb.DuckDBPyConnection, guarded: Guarded) -> None:
    """Make ``cut`` (observation, node, why): identifiers that do not link in an observation, though others do."""
    rows, nodes, reasons = guarded.cut
    cells = {"observation": pa.array(rows), "node": pa.array(nodes), "why": pa.array(np.array(CUTS)[reasons])}
    connection.register("cut_cells", pa.table(cells))
    connection.execute("CREATE OR REPLACE TEMP TABLE cut AS FROM cut_cells")
    connection.unregister("cut_cells")


def _make_pairs(connection: duckdb.DuckDBPyConnection, policy: Policy) -> None:
    """Make ``pairs``: identifiers that stand in one observation, and the ends of links, with the cluster of each."""
    together = [
        f"SELECT {identifier(one)} AS left_node, {identifier(other)} AS right_node, observation, source, first_seen_at,"
        f" last_seen_at, records FROM held WHERE {identifier(one)} IS NOT NULL AND {identifier(other)} IS NOT NULL"
        for one, other in combinations(policy.levels, 2)
    ]
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE pairs AS
        WITH usable AS (
            SELECT node, cluster IS NOT NULL AS links, status = '{PUBLIC}' AS is_public
            FROM keyed WHERE status IN ('linked', 'contested', '{PUBLIC}')
        ),
        seen AS (
            SELECT p.*, c.cluster,
                   a.links AND b.links AND x.node IS NULL AND y.node IS NULL AND c.cluster IS NOT NULL AS holds
            FROM ({" UNION ALL ".join(together)}) p
            JOIN usable a ON a.node = p.left_node JOIN usable b ON b.node = p.right_node
            LEFT JOIN clustered c USING (observation)
            LEFT JOIN cut x ON x.observation = p.observation AND x.node = p.left_node
            LEFT JOIN cut y ON y.observation = p.observation AND y.node = p.right_node
            WHERE NOT (a.is_public AND b.is_public) -- what stands beside both is of many components
        )
        SELECT '{TOGETHER}' AS rule, left_node, right_node, cluster, holds,
               array_to_string(list_sort(list(DISTINCT source)), ',') AS sources,
               CAST(sum(records) AS BIGINT) AS records, min(first_seen_at) AS first_seen_at,
               max(last_seen_at) AS last_seen_at, CAST(NULL AS DOUBLE) AS probability
        FROM seen GROUP BY left_node, right_node, cluster, holds
    """)
    links = "IN (SELECT node FROM keyed WHERE cluster IS NOT NULL)"
    strongest = ", ".join(f"CASE WHEN {identifier(kind)} {links} THEN {identifier(kind)} END" for kind in policy.levels)
    if not connection.execute("SELECT count(*) FROM tried_links").fetchall()[0][0]:
        return
    connection.execute(f"""
        INSERT INTO pairs BY NAME
        WITH rows AS (
            SELECT left_row AS observation FROM tried_links UNION SELECT right_row FROM tried_links
        ),
        stand_ins AS (
            SELECT h.observation, c.cluster, h.source, h.first_seen_at, h.last_seen_at,
                   coalesce({strongest}, (SELECT count(*) FROM nodes) + h.observation) AS node
            FROM held h JOIN rows USING (observation) JOIN clustered c USING (observation)
        )
        SELECT t.kind AS rule, coalesce(a.node, t.left_node) AS left_node, coalesce(b.node, t.right_node) AS right_node,
               coalesce(a.cluster, k.cluster) AS cluster, true AS holds,
               array_to_string(list_sort(list_distinct([a.source, b.source])), ',') AS sources,
               count(*) AS records, min(least(a.first_seen_at, b.first_seen_at)) AS first_seen_at,
               max(greatest(a.last_seen_at, b.last_seen_at)) AS last_seen_at, max(t.probability) AS probability
        FROM tried_links t
        LEFT JOIN stand_ins a ON a.observation = t.left_row LEFT JOIN stand_ins b ON b.observation = t.right_row
        LEFT JOIN keyed k ON k.node = t.left_node
        WHERE t.refused IS NULL GROUP BY ALL
    """)


def _find_bridges(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``sides`` (pair, side): of pairs that are bridges the number of identifiers on the smaller side."""
    connection.execute("CREATE OR REPLACE TEMP TABLE pairs AS SELECT row_number() OVER () - 1 AS pair, * FROM pairs")
    held = connection.execute(
        "SELECT pair, left_node, right_node, cluster FROM pairs WHERE holds ORDER BY pair"
    ).fetchnumpy()
    pair, left, right, cluster = (
        np.asarray(held[name], dtype=np.int64) for name in ("pair", "left_node", "right_node", "cluster")
    )
    # A value that changed hands is a node of each of its owners.
    ends = np.concatenate([left, right]) << 32 | np.concatenate([cluster, cluster])
    nodes, index = numbered(ends)
    del ends, left, right, cluster
    side = smaller_sides(len(nodes), index[: len(pair)], index[len(pair) :])
    bridges = side > 0
    connection.register("found", pa.table({"pair": pa.array(pair[bridges]), "side": pa.array(side[bridges])}))
    connection.execute("CREATE OR REPLACE TEMP TABLE sides AS FROM found")
    connection.unregister("found")


def _make_edges(connection: duckdb.DuckDBPyConnection) -> None:
    why = "coalesce(l.reason, r.reason, 'not of this customer at the time')"
    ends = ", ".join(
        f"{side}.identifier_key AS {name}_key, {side}.type AS {name}_type, {side}.shown AS {name}_masked"
        for side, name in (("l", "left"), ("r", "right"))
    )
    connection.execute(f"""
        CREATE OR REPLACE TEMP VIEW edges AS
        SELECT {ends}, CASE WHEN p.holds THEN c.customer_id END AS customer_id, p.rule,
               CASE WHEN p.holds THEN 'linked' ELSE 'refused' END AS status,
               CASE WHEN NOT p.holds THEN {why} END AS reason,
               s.side IS NOT NULL AS is_bridge, coalesce(s.side, 0) AS bridge_side, p.probability, p.sources, p.records,
               p.first_seen_at, p.last_seen_at, coalesce(d.component, e.component) AS component
        FROM pairs p
        LEFT JOIN component_of_node d ON d.node = p.left_node LEFT JOIN component_of_node e ON e.node = p.right_node
        JOIN keyed l ON l.node = p.left_node JOIN keyed r ON r.node = p.right_node
        LEFT JOIN customer_of_cluster c ON c.cluster = p.cluster LEFT JOIN sides s ON s.pair = p.pair
    """)


def _make_clusters(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE clusters AS
        WITH owned AS (
            SELECT cluster, count(*) AS identifiers, max(n) AS most_of_a_type
            FROM (SELECT cluster, count(*) OVER (PARTITION BY cluster, type) AS n FROM linked) GROUP BY cluster
        ),
        seen AS (
            SELECT cluster, count(*) AS observations, CAST(sum(records) AS BIGINT) AS records,
                   count(DISTINCT source) AS sources, min(first_seen_at) AS first_seen_at,
                   max(last_seen_at) AS last_seen_at
            FROM held JOIN clustered USING (observation) GROUP BY cluster
        ),
        joined AS (
            SELECT cluster, count(DISTINCT (left_node, right_node)) AS edges,
                   count(*) FILTER (rule <> 'seen_together') AS links,
                   count(*) FILTER (side IS NOT NULL) AS bridges, count(*) FILTER (side > 1) AS deep_bridges
            FROM pairs LEFT JOIN sides USING (pair) WHERE holds GROUP BY cluster
        )
        SELECT customer_id, o.identifiers, s.observations, s.records, s.sources, coalesce(j.edges, 0) AS edges,
               coalesce(j.links, 0) AS links,
               least(1.0, 2.0 * j.edges / nullif(o.identifiers * (o.identifiers - 1), 0)) AS density,
               coalesce(j.bridges, 0) AS bridges, coalesce(j.deep_bridges, 0) AS deep_bridges, o.most_of_a_type,
               s.first_seen_at, s.last_seen_at, component
        FROM customer_of_cluster JOIN component_of_cluster USING (cluster)
        JOIN owned o USING (cluster) JOIN seen s USING (cluster) LEFT JOIN joined j USING (cluster)
    """)


def _make_refusals(connection: duckdb.DuckDBPyConnection, guarded: Guarded, policy: Policy) -> None:
    tenures = {
        "node": pa.array([tenure.node for tenure in guarded.tenures], pa.int64()),
        "cluster": pa.array(guarded.tenure_cluster, pa.int64()),
        "first_day": pa.array([tenure.first_day for tenure in guarded.tenures], pa.int32()),
        "last_day": pa.array([tenure.last_day for tenure in guarded.tenures], pa.int32()),
    }
    connection.register("tenures", pa.table(tenures))
    connection.execute("CREATE OR REPLACE TEMP TABLE owners AS FROM tenures")
    connection.unregister("tenures")
    cells = " UNION ALL ".join(
        f"SELECT observation, {identifier(kind)} AS node, records, first_seen_at, last_seen_at FROM held"
        f" WHERE {identifier(kind)} IS NOT NULL"
        for kind in policy.levels
    )
    days = " ".join(f"WHEN {literal(kind)} THEN {policy.types[kind].idle_days or 0}" for kind in policy.levels)
    connection.execute(f"""
        CREATE OR REPLACE TEMP VIEW refusals AS
        WITH cells AS ({cells}),
        refused AS (
            SELECT e.node, c.cluster, e.records, e.first_seen_at, e.last_seen_at, NULL AS why, p.component
            FROM cells e JOIN keyed k USING (node) JOIN component_of_node p USING (node)
            LEFT JOIN clustered c USING (observation)
            WHERE k.status = 'contested'
            UNION ALL
            SELECT e.node, c.cluster, e.records, e.first_seen_at, e.last_seen_at, cut.why, p.component
            FROM cells e JOIN cut USING (observation, node) JOIN component_of_node p USING (node)
            LEFT JOIN clustered c USING (observation)
            UNION ALL
            -- Whom nobody is known by in many components would be many rows of one value.
            SELECT e.node, c.cluster, e.records, e.first_seen_at, e.last_seen_at, NULL, p.component
            FROM cells e JOIN keyed k USING (node) JOIN clustered c USING (observation)
            JOIN component_of_cluster p ON p.cluster = c.cluster
            WHERE k.status = '{PUBLIC}'
        )
        SELECT s.type AS identifier_type, s.identifier_key, s.shown AS identifier_masked, m.customer_id,
               CAST(NULL AS VARCHAR) AS other_customer_id, 'identifier' AS rule,
               coalesce(s.reason, r.why) AS reason,
               CAST(NULL AS DOUBLE) AS probability, CAST(sum(r.records) AS BIGINT) AS records,
               min(r.first_seen_at) AS first_seen_at, max(r.last_seen_at) AS last_seen_at, component
        FROM refused r JOIN keyed s USING (node)
        LEFT JOIN customer_of_cluster m ON m.cluster = r.cluster
        GROUP BY ALL
        UNION ALL
        SELECT s.type, s.identifier_key, s.shown, m.customer_id, NULL, 'identifier',
               '{HANDS}: not seen for more than ' || CASE s.type {days} END || ' days, then with another customer',
               NULL, count(*), CAST(DATE '1970-01-01' + min(o.first_day) AS TIMESTAMP),
               CAST(DATE '1970-01-01' + max(o.last_day) AS TIMESTAMP), component
        FROM owners o JOIN keyed s USING (node) JOIN component_of_node USING (node)
        LEFT JOIN customer_of_cluster m ON m.cluster = o.cluster
        GROUP BY ALL
        UNION ALL
        SELECT NULL, NULL, NULL, left_customer_id, right_customer_id, kind, reason, max(probability), count(*),
               CAST(NULL AS TIMESTAMP), CAST(NULL AS TIMESTAMP), component
        FROM links WHERE status = 'refused' GROUP BY ALL
    """)
