"""Observations that a run finds that it needs when it has worked out the others: the components that links reach.

They share no identifier that links with any that came before, so they are worked out by themselves and put behind them.
"""

from __future__ import annotations

import duckdb
import numpy as np
import numpy.typing as npt

from transforms.identity.components import Nodes
from transforms.identity.edges import build_nodes, count_held, days_seen, graph, read_observations
from transforms.identity.guard import guarded_clusters
from transforms.identity.limits import Guarded
from transforms.identity.plan import Plan
from transforms.identity.public import mark_public
from transforms.sql import identifier

Levels = npt.NDArray[np.int8]


def add_observations(
    connection: duckdb.DuckDBPyConnection, plan: Plan, only: str, matrix: Nodes, levels: Levels, guarded: Guarded
) -> tuple[Nodes, Levels]:
    """Work out more observations: their rows come behind those of ``held``, new identifiers behind ``nodes``.

    :param only: table of their fingerprints; whole components, in which nobody must stay apart.
    :param matrix: observations × types, of all in ``held``.
    :param levels: merging level of each node.
    :param guarded: what the guard has found so far; is added to.
    :return: the matrix and the levels of all.
    """
    held, known = count_held(connection), len(levels)
    for table in ("nodes", "held"):
        connection.execute(f"ALTER TABLE {table} RENAME TO first_{table}")
    read_observations(connection, plan.settings.warehouse, plan.phone_regions, only)
    build_nodes(connection, plan.policy)
    mark_public(connection)
    more, more_levels = graph(connection, plan.policy)
    found = guarded_clusters(more, more_levels, plan.policy, days_seen(connection))
    # Both may hold a value that joins nobody.
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE renumbered AS
        SELECT n.node, CAST(coalesce(
                   f.node, {known} - 1 + row_number() OVER (PARTITION BY f.node IS NULL ORDER BY n.node)
               ) AS INTEGER) AS number
        FROM nodes n LEFT JOIN first_nodes f USING (type, value)
    """)
    connection.execute(f"""
        INSERT INTO first_nodes BY NAME
        SELECT n.* REPLACE (number AS node) FROM nodes n JOIN renumbered USING (node) WHERE number >= {known}
    """)
    kinds = plan.policy.levels
    numbers = ", ".join(f"{identifier('n_' + kind)}.number AS {identifier(kind)}" for kind in kinds)
    joins = " ".join(
        f"LEFT JOIN renumbered {identifier('n_' + kind)} ON {identifier('n_' + kind)}.node = h.{identifier(kind)}"
        for kind in kinds
    )
    connection.execute(f"""
        INSERT INTO first_held BY NAME
        SELECT h.* REPLACE (CAST(h.observation + {held} AS INTEGER) AS observation, {numbers}) FROM held h {joins}
    """)
    rows = connection.execute("SELECT number FROM renumbered ORDER BY node").fetchnumpy()
    number = np.append(np.asarray(rows["number"], dtype=np.int32), np.int32(-1))
    connection.execute("DROP TABLE renumbered")
    for table in ("nodes", "held"):
        connection.execute(f"DROP TABLE {table}")
        connection.execute(f"ALTER TABLE first_{table} RENAME TO {table}")
    is_new = number[:-1] >= known
    guarded.add(found, number[:-1], int(is_new.sum()))
    return np.concatenate([matrix, number[more]]), np.concatenate([levels, more_levels[is_new]])
