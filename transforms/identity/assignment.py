"""Persistent customer ids: which cluster of today is which customer of yesterday.

Clusters are compared with the last run by the identifiers that they share. Ids are given one to one, the largest
overlap first, so that a customer who splits keeps the id on the largest part, and of customers who merge one keeps it
and the others become aliases. An id that was an alias comes back when its identifiers part again: each identifier
remembers the id that it first belonged to (its origin). What is left is new, and gets a keyed hash of its founding
identifier, so that a rebuild from nothing gives the same data the same ids.

Only identifiers that the last run's data held count at first: one that comes back brings no id with it. Ties fall, in
this order, to: the greater overlap with absent ones, the cluster whose identifiers have the id as origin, the older id,
the lesser id, the cluster that was founded first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain

import duckdb
import pyarrow as pa

from transforms.identity.keys import keyed_hash
from transforms.sql import literal


@dataclass(frozen=True)
class Changes:
    """What became of customer ids in a run."""

    new: int
    """Ids given for the first time."""
    restored: int
    """Ids that had been aliases and are customers again."""
    merged: int
    """Ids that became aliases."""
    split: int
    """Ids whose identifiers now belong to more than one customer."""


def assign_customers(connection: duckdb.DuckDBPyConnection, secret: bytes, as_of: date, run_id: str) -> Changes:
    """Give every cluster a customer id.

    Reads ``linked`` (node, cluster, level, type, value, identifier_key, first_seen_at) and the last state:
    ``last_registry``, ``last_issued``, ``last_aliases`` as in :mod:`transforms.identity.store`.
    Makes ``customer_of_cluster`` (cluster, customer_id), and ``registry``, ``issued`` and ``aliases`` of this run.
    """
    _found_clusters(connection)
    _count_votes(connection)
    connection.execute("CREATE OR REPLACE TEMP TABLE customer_of_cluster (cluster INTEGER, customer_id VARCHAR)")
    _match(connection, "last_id")
    restored = _match(connection, "origin_id")
    new = _make_ids(connection, secret)
    merged = _point_aliases(connection, as_of, run_id)
    _remember(connection, run_id)
    row = connection.execute("""
        SELECT count(*) FROM (SELECT last_id FROM votes WHERE last_id IS NOT NULL
                              GROUP BY last_id HAVING count(DISTINCT cluster) > 1)
    """).fetchone()
    return Changes(new=new, restored=restored, merged=merged, split=row[0] if row else 0)


def _found_clusters(connection: duckdb.DuckDBPyConnection) -> None:
    """Find the founding identifier of each cluster: first seen, then of the strongest type, then least."""
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE founders AS
        SELECT cluster, type, value,
               row_number() OVER (ORDER BY first_seen_at, level, value) AS founded
        FROM linked
        WHERE node IN (SELECT arg_min(node, row(first_seen_at, level, value)) FROM linked GROUP BY cluster)
    """)


def _count_votes(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``votes`` (cluster, last_id, origin_id, identifiers, present): those of the last run's data count first, so
    that an identifier that comes back brings no id with it."""
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE votes AS
        SELECT l.cluster, r.customer_id AS last_id, r.origin_id, count(*) AS identifiers,
               count(*) FILTER (r.is_present) AS present
        FROM linked l JOIN last_registry r USING (identifier_key)
        GROUP BY ALL
    """)


def _match(connection: duckdb.DuckDBPyConnection, by: str) -> int:
    """Give ids not yet given to clusters without one, by the identifiers that they share. Returns how many.

    Almost every cluster has one candidate that is nobody else's; only the others are compared one by one.
    """
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE candidates AS
        WITH overlap AS (
            SELECT cluster, {by} AS customer_id, sum(present) AS present, sum(identifiers) AS shared,
                   sum(CASE WHEN origin_id = {by} THEN identifiers ELSE 0 END) AS native
            FROM votes
            WHERE cluster NOT IN (SELECT cluster FROM customer_of_cluster)
              AND {by} NOT IN (SELECT customer_id FROM customer_of_cluster)
            GROUP BY ALL
        )
        SELECT *, count(*) OVER (PARTITION BY cluster) = 1 AND count(*) OVER (PARTITION BY customer_id) = 1 AS sure
        FROM overlap
    """)
    contested = connection.execute("""
        SELECT c.cluster, c.customer_id
        FROM candidates c JOIN founders f USING (cluster) LEFT JOIN last_issued i USING (customer_id)
        WHERE NOT c.sure
        ORDER BY c.present DESC, c.shared DESC, c.native DESC, i.generation, c.customer_id, f.founded
    """).fetchall()
    clusters: set[int] = set()
    ids: set[str] = set()
    matched: list[tuple[int, str]] = []
    for cluster, customer_id in contested:
        if cluster not in clusters and customer_id not in ids:
            clusters.add(cluster)
            ids.add(customer_id)
            matched.append((cluster, customer_id))
    sure = _give(connection, "SELECT cluster, customer_id FROM candidates WHERE sure")
    return sure + _give_pairs(connection, matched)


def _give(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(f"INSERT INTO customer_of_cluster {query}").fetchone()
    return row[0] if row else 0


def _give_pairs(connection: duckdb.DuckDBPyConnection, pairs: list[tuple[int, str]]) -> int:
    columns = {
        "cluster": pa.array([cluster for cluster, _ in pairs], pa.int32()),
        "customer_id": pa.array([customer_id for _, customer_id in pairs], pa.string()),
    }
    connection.register("pairs", pa.table(columns))
    given = _give(connection, "SELECT cluster, customer_id FROM pairs")
    connection.unregister("pairs")
    return given


def _make_ids(connection: duckdb.DuckDBPyConnection, secret: bytes) -> int:
    """Make ids for clusters that none is left for. An id that was ever issued is never given to another cluster."""
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE proposals AS
        WITH hashed AS (
            SELECT cluster, founded, type || ':' || value AS founder,
                   'C' || keyed_hash('customer:' || type || ':' || value, 16) AS customer_id
            FROM founders WHERE cluster NOT IN (SELECT cluster FROM customer_of_cluster)
        )
        SELECT *, customer_id IN (SELECT customer_id FROM last_issued)
               OR count(*) OVER (PARTITION BY customer_id) > 1 AS taken
        FROM hashed
    """)
    new = _give(connection, "SELECT cluster, customer_id FROM proposals WHERE NOT taken")
    doubtful = connection.execute("SELECT cluster, founder FROM proposals WHERE taken ORDER BY founded").fetchall()
    ids = _unused_ids(connection, secret, [founder for _, founder in doubtful])
    return new + _give_pairs(connection, [(cluster, i) for (cluster, _), i in zip(doubtful, ids, strict=True)])


def _unused_ids(connection: duckdb.DuckDBPyConnection, secret: bytes, founders: Sequence[str]) -> list[str]:
    """Hash founding identifiers whose own ids are taken: each was founded before, that customer is elsewhere now."""
    attempts = 2
    while True:
        tries = {founder: [_tried_id(secret, founder, n) for n in range(attempts)] for founder in founders}
        # Few of all that were ever issued are looked for.
        tried = pa.array(sorted({*chain(*tries.values())}), pa.string())
        connection.register("tried", pa.table({"customer_id": tried}))
        used = {
            customer_id
            for (customer_id,) in connection.execute("""
                SELECT customer_id FROM last_issued SEMI JOIN tried USING (customer_id)
                UNION SELECT customer_id FROM customer_of_cluster SEMI JOIN tried USING (customer_id)
            """).fetchall()
        }
        connection.unregister("tried")
        found: list[str] = []
        for founder in founders:
            unused = next((i for i in tries[founder] if i not in used), None)
            if unused is None:
                break
            used.add(unused)
            found.append(unused)
        else:
            return found
        attempts *= 2


def _tried_id(secret: bytes, founder: str, attempt: int) -> str:
    suffix = f"#{attempt + 1}" if attempt else ""
    return "C" + keyed_hash(secret, f"customer:{founder}{suffix}", 16)


def _point_aliases(connection: duckdb.DuckDBPyConnection, as_of: date, run_id: str) -> int:
    """Make ``aliases``: every id that is no customer now, but whose identifiers belong to one, points at it directly.

    An alias follows the identifiers that first had its id, else those that had it last. One whose identifiers are
    absent follows its last target, through one step, since targets are always customers or absent themselves.
    """
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE heirs AS
        WITH seen AS (
            SELECT last_id AS old_id, cluster, sum(identifiers) AS shared, 1 AS rank FROM votes GROUP BY ALL
            UNION ALL
            SELECT origin_id, cluster, sum(identifiers), 0 FROM votes GROUP BY ALL
        )
        SELECT old_id, arg_min(c.customer_id, row(rank, -shared, coalesce(i.generation, 2147483647), c.customer_id))
               AS heir
        FROM seen JOIN customer_of_cluster c USING (cluster)
        LEFT JOIN last_issued i ON i.customer_id = c.customer_id
        WHERE old_id NOT IN (SELECT customer_id FROM customer_of_cluster)
        GROUP BY old_id
    """)
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE aliases AS
        WITH pointed AS (
            SELECT old_id AS old_customer_id, heir AS customer_id FROM heirs
            UNION ALL
            SELECT a.old_customer_id, coalesce(h.heir, a.customer_id)
            FROM last_aliases a LEFT JOIN heirs h ON h.old_id = a.customer_id
            WHERE a.old_customer_id NOT IN (SELECT old_id FROM heirs)
              AND a.old_customer_id NOT IN (SELECT customer_id FROM customer_of_cluster)
        )
        SELECT p.old_customer_id, p.customer_id,
               CASE WHEN a.customer_id = p.customer_id THEN a.valid_from ELSE CAST($as_of AS DATE) END AS valid_from,
               CASE WHEN a.customer_id = p.customer_id THEN a.run_id ELSE {literal(run_id)} END AS run_id,
               CASE WHEN a.customer_id = p.customer_id THEN a.reason
                    WHEN a.customer_id IS NULL THEN 'merged' ELSE 'target changed' END AS reason
        FROM pointed p LEFT JOIN last_aliases a USING (old_customer_id)
        """,
        {"as_of": as_of},
    )
    row = connection.execute(
        "SELECT count(*) FROM aliases WHERE old_customer_id NOT IN (SELECT old_customer_id FROM last_aliases)"
    ).fetchone()
    return row[0] if row else 0


def _remember(connection: duckdb.DuckDBPyConnection, run_id: str) -> None:
    """Make ``registry`` and ``issued`` of this run; see :mod:`transforms.identity.store`."""
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE registry AS
        SELECT l.identifier_key, c.customer_id, coalesce(r.origin_id, c.customer_id) AS origin_id
        FROM linked l JOIN customer_of_cluster c USING (cluster) LEFT JOIN last_registry r USING (identifier_key)
        UNION ALL
        SELECT r.identifier_key, coalesce(a.customer_id, r.customer_id), r.origin_id
        FROM last_registry r LEFT JOIN aliases a ON a.old_customer_id = r.customer_id
        WHERE r.identifier_key NOT IN (SELECT identifier_key FROM linked)
    """)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE issued AS
        SELECT * FROM last_issued
        UNION ALL
        SELECT customer_id, {literal(run_id)}, (SELECT coalesce(max(generation), 0) + 1 FROM last_issued)
        FROM customer_of_cluster WHERE customer_id NOT IN (SELECT customer_id FROM last_issued)
    """)
