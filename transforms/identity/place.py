"""Components: which parts of the graph can be worked out without the rest.

Identifiers that ever met are of one component, also those that a guard has kept apart, and so are the two ends of a
link and identifiers that share a customer id, of today or of former days. Nothing that a run decides within a component
depends on what lies outside it, so a later run may keep it as it is until something touches it
(:mod:`transforms.identity.reach`). A blocked or public value is of no component: it joins nobody, and half of all
records may hold it.

A component is named after its least member by key, as a UUID.
"""

from __future__ import annotations

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.identity.components import Nodes, connected, first_held

NOBODYS = "00000000-0000-0000-0000-000000000000"
"""Component of what belongs to none: rows that every run makes anew."""

_JOINING = "(SELECT * FROM keyed WHERE status IN ('linked', 'contested'))"
"""What is of a component by itself; a blocked value that was somebody's is one that is gone."""

Ints = npt.NDArray[np.int64]


def place(connection: duckdb.DuckDBPyConnection, matrix: Nodes) -> None:
    """Make ``placed`` (vertex, component): node ``n`` is the vertex ``n``, observation ``o`` the vertex ``nodes + o``,
    and an identifier that is registered but gone the vertex ``nodes + observations + rowid``.

    Needs ``nodes``, ``held``, ``keyed``, ``clustered``, ``customer_of_cluster``, ``tried_links`` and ``registry``.

    :param matrix: observations × types, a node or -1, as the data hold them: of what is contested, only the
        public is left out.
    """
    nodes, rows, registered = _counts(connection)
    first = np.full(rows, -1, dtype=np.int64)
    first[: len(matrix)] = first_held(matrix)
    bare = first < 0
    left: list[Ints] = [np.flatnonzero(~bare) + nodes]
    right: list[Ints] = [first[~bare]]
    for column in matrix.T:
        meets = (column >= 0) & (column != first[: len(matrix)])
        left.append(first[: len(matrix)][meets])
        right.append(column[meets].astype(np.int64))
    for one, other in (_ends_of_links(connection, nodes), _ties(connection, nodes, nodes + rows)):
        left.append(one)
        right.append(other)
    vertices = nodes + rows + registered
    ids = max(int(right[-1].max(initial=-1)) + 1 - vertices, 0)
    component = connected(vertices + ids, np.concatenate(left), np.concatenate(right))[:vertices]
    numbers = {"vertex": np.arange(vertices), "number": component}
    connection.register("of_vertex", pa.table({name: pa.array(values) for name, values in numbers.items()}))
    connection.register("bare_rows", pa.table({"observation": pa.array(np.flatnonzero(bare))}))
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE placed AS
        WITH members AS (
            SELECT node AS vertex, identifier_key AS key FROM keyed WHERE status IN ('linked', 'contested')
            UNION ALL
            SELECT {nodes + rows} + rowid, identifier_key FROM registry
            WHERE identifier_key NOT IN (SELECT identifier_key FROM {_JOINING})
            UNION ALL
            SELECT {nodes} + observation, md5(identity_key) FROM held JOIN bare_rows USING (observation)
        ),
        named AS (
            SELECT number, CAST(min(key) AS UUID) AS component
            FROM members JOIN of_vertex USING (vertex) GROUP BY number
        )
        SELECT vertex, component FROM of_vertex JOIN named USING (number)
    """)
    for view in ("of_vertex", "bare_rows"):
        connection.unregister(view)
    # Views that make the tables of the outcome find their rows' components by the numbers that they have.
    connection.execute("CREATE OR REPLACE TEMP VIEW component_of_node AS SELECT vertex AS node, component FROM placed")
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW component_of_row AS SELECT vertex - {nodes} AS observation, component FROM placed"
        f" WHERE vertex BETWEEN {nodes} AND {nodes + rows - 1}"
    )
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE component_of_cluster AS
        SELECT cluster, any_value(component) AS component
        FROM clustered JOIN component_of_row USING (observation) GROUP BY cluster
    """)
    connection.execute(f"""
        CREATE OR REPLACE TEMP VIEW placed_registry AS
        SELECT r.*, p.component
        FROM (SELECT rowid AS entry, * FROM registry) r LEFT JOIN {_JOINING} k USING (identifier_key)
        JOIN placed p ON p.vertex = coalesce(k.node, {nodes + rows} + r.entry)
    """)


def _counts(connection: duckdb.DuckDBPyConnection) -> tuple[int, int, int]:
    [found] = connection.execute(
        "SELECT (SELECT count(*) FROM nodes), (SELECT count(*) FROM held), (SELECT count(*) FROM registry)"
    ).fetchall()
    return found


def _ends_of_links(connection: duckdb.DuckDBPyConnection, nodes: int) -> tuple[Ints, Ints]:
    """Vertices that a link of today joins, or was refused to join."""
    return _pairs(
        connection,
        f"""
        SELECT CASE WHEN left_row >= 0 THEN {nodes} + left_row ELSE left_node END AS one,
               CASE WHEN right_row >= 0 THEN {nodes} + right_row ELSE right_node END AS other
        FROM tried_links WHERE greatest(left_row, left_node) >= 0 AND greatest(right_row, right_node) >= 0
        """,
    )


def _ties(connection: duckdb.DuckDBPyConnection, nodes: int, first_registered: int) -> tuple[Ints, Ints]:
    """Vertices and the customer ids that they have or had, numbered after all other vertices.

    A cluster needs one tie to its id: its identifiers hang together anyway.
    """
    return _pairs(
        connection,
        f"""
        WITH entries AS (
            SELECT coalesce(k.node, {first_registered} + r.entry) AS vertex, r.customer_id, r.origin_id,
                   k.cluster IS NOT NULL AS is_linked
            FROM (SELECT rowid AS entry, * FROM registry) r LEFT JOIN {_JOINING} k USING (identifier_key)
        ),
        ties AS (
            SELECT {nodes} + any_value(observation) AS vertex, customer_id AS id
            FROM clustered JOIN customer_of_cluster USING (cluster) GROUP BY customer_id
            UNION ALL
            SELECT vertex, customer_id FROM entries WHERE NOT is_linked
            UNION ALL
            SELECT vertex, origin_id FROM entries WHERE origin_id <> customer_id
        )
        SELECT vertex AS one, {first_registered} + (SELECT count(*) FROM registry) + dense_rank() OVER (ORDER BY id) - 1
               AS other
        FROM ties
        """,
    )


def _pairs(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Ints, Ints]:
    found = connection.execute(query).fetchnumpy()
    return np.asarray(found["one"], dtype=np.int64), np.asarray(found["other"], dtype=np.int64)
