"""Public values: a tablet at a till, the card of a member of staff, the mailbox of a firm.

A value that stands beside more values of another type, in its own records, than any person has is nobody's, whatever
else is known. So it is told before the graph is made, and is no part of it: all who ever touched a kiosk would else be
one component, which each day would work out anew.

Who stands beside a public value is remembered by component. A later run counts those of the components that it does
not touch, and those that it reads: the very number that a run over everything counts. A value that was not public has
all its records in one component, so a run that reads any of them reads all.
"""

from __future__ import annotations

import duckdb
import numpy as np
import numpy.typing as npt

from transforms.identity.policy import IdentifierType, Policy
from transforms.identity.store import IdentityStore, rows_of
from transforms.sql import identifier, literal

PUBLIC = "public"
"""Status of such a node; the identifier is shown as contested."""
REASON = "public: beside more values of one type than anybody has"


def find_public(connection: duckdb.DuckDBPyConnection, policy: Policy, store: IdentityStore | None) -> list[str]:
    """Find the public values among ``nodes``, and those that were public, make ``public_values`` (type, value), and
    give such nodes the status :data:`PUBLIC`.

    Needs ``held``, and ``touched`` where there is a store.

    :param store: the last outcome, of which components stay that are not in ``touched``; None where none stays.
    :return: components that hold a value that was public and is so no more, today or in memory: they are one again, and
        must be read.
    """
    limits = [(kind, other, most) for kind in policy.levels for other, most in _limits(policy, kind)]
    nothing = "SELECT '' AS type, '' AS value, '' AS beside_type, '' AS beside_value, NULL AS component LIMIT 0"
    last = nothing if store is None else f"FROM {rows_of(store.remembered, 'public', with_component=True)}"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE last_public AS {last}")
    # Few values have rows enough to be worth counting exactly.
    crowded = " UNION ".join(
        [
            "SELECT node FROM nodes JOIN last_public USING (type, value)",
            *(
                f"SELECT {identifier(kind)} FROM held WHERE {identifier(kind)} IS NOT NULL"
                f" GROUP BY {identifier(kind)} HAVING count(*) > {min(most for _, most in found)}"
                for kind in policy.levels
                if (found := _limits(policy, kind))
            ),
        ]
    )
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE crowded AS
        SELECT node FROM nodes WHERE status = 'usable' AND node IN ({crowded})
    """)
    kept = "" if store is None else "WHERE component NOT IN (SELECT component FROM touched)"
    beside = " UNION ALL ".join(f"({_beside(kind, other)})" for kind, other, _ in limits)
    most = ", ".join(f"({literal(kind)}, {literal(other)}, {most})" for kind, other, most in limits)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE public_values AS
        SELECT DISTINCT type, value
        FROM (
            SELECT type, value, beside_type, count(DISTINCT beside_value) AS values FROM (
                SELECT t.type, t.value, o.type AS beside_type, o.value AS beside_value
                FROM ({beside or "SELECT 0 AS node, 0 AS beside LIMIT 0"}) b
                JOIN nodes t ON t.node = b.node JOIN nodes o ON o.node = b.beside
                WHERE o.status = 'usable'
                UNION ALL
                SELECT type, value, beside_type, beside_value FROM last_public {kept}
            ) GROUP BY type, value, beside_type
        ) JOIN (VALUES {most or "('', '', 0)"}) l (type, beside_type, most) USING (type, beside_type)
        WHERE values > most
    """)
    connection.execute("DROP TABLE crowded")
    mark_public(connection)
    if store is None:
        return []
    # Also components where it stands alone, or beside types that are not counted; and whom it belonged to before it was
    # public, which it may be the last to tell.
    held, registered = (rows_of(store.remembered, table, with_component=True) for table in ("blocked", "registry"))
    fallen = connection.execute(f"""
        WITH fallen AS (
            SELECT h.identifier_key, h.component
            FROM {held} h ANTI JOIN public_values p ON p.type = h.identifier_type AND p.value = h.identifier_value
            WHERE h.status = '{PUBLIC}'
        )
        SELECT CAST(component AS VARCHAR) FROM fallen
        UNION
        SELECT CAST(component AS VARCHAR) FROM {registered} SEMI JOIN fallen USING (identifier_key)
    """).fetchall()
    return [component for (component,) in fallen]


def mark_public(connection: duckdb.DuckDBPyConnection) -> None:
    """Give the nodes of ``public_values`` their status."""
    connection.execute(f"""
        UPDATE nodes SET status = '{PUBLIC}', reason = {literal(REASON)} FROM public_values p
        WHERE nodes.type = p.type AND nodes.value = p.value AND nodes.status = 'usable'
    """)


def count_public(connection: duckdb.DuckDBPyConnection, policy: Policy) -> npt.NDArray[np.int64]:
    """How many public values each observation holds, in the order of ``held``."""
    held = " + ".join(
        f"CAST(coalesce({identifier(kind)} IN (SELECT node FROM nodes WHERE status = '{PUBLIC}'), false) AS BIGINT)"
        for kind in policy.levels
    )
    rows = connection.execute(f"SELECT {held} AS n FROM held ORDER BY observation").fetchnumpy()
    return np.asarray(rows["n"], dtype=np.int64)


def make_public(connection: duckdb.DuckDBPyConnection, policy: Policy) -> None:
    """Make ``public_rows`` as :mod:`transforms.identity.store` describes ``public``. Needs ``component_of_row``."""
    pairs = " UNION ALL ".join(
        f"SELECT observation, {identifier(kind)} AS node, {identifier(other)} AS beside FROM held"
        f" WHERE {identifier(kind)} IN (SELECT node FROM nodes WHERE status = '{PUBLIC}')"
        f" AND {identifier(other)} IS NOT NULL"
        for kind in policy.levels
        for other, _ in _limits(policy, kind)
    )
    nothing = "SELECT 0 AS observation, 0 AS node, 0 AS beside LIMIT 0"
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE public_rows AS
        SELECT DISTINCT t.type, t.value, o.type AS beside_type, o.value AS beside_value, component
        FROM ({pairs or nothing}) p JOIN nodes t USING (node) JOIN nodes o ON o.node = p.beside
        JOIN component_of_row USING (observation)
        WHERE o.status IN ('usable', '{PUBLIC}')
    """)


def _limits(policy: Policy, kind: IdentifierType) -> list[tuple[IdentifierType, int]]:
    found = policy.types[kind].public_beyond
    return [(other, found[other]) for other in policy.levels if other in found]


def _beside(kind: str, other: str) -> str:
    return (
        f"SELECT DISTINCT {identifier(kind)} AS node, {identifier(other)} AS beside FROM held"
        f" WHERE {identifier(other)} IS NOT NULL AND {identifier(kind)} IN (SELECT node FROM crowded)"
    )
