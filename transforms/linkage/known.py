"""What agreement tells, counted over profiles that identifiers have made one person: labels that the data bring along.

Expectation maximisation has to find the matches before it can learn from them, and where people are seldom listed twice
it may find others: all of one given name in one town, whose birth dates and family names then tell nothing. Who gave
one loyalty card or mailbox twice is one person for a reason that names, birth dates and addresses know nothing of, so
the shares among such pairs are those of true matches.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.linkage.anchor import count_patterns
from transforms.linkage.roles import Role

_JOINING = frozenset({"email", "phone"})
"""Identifiers themselves: most of those who are known agree on them, for that is how they became known. What agreement
on them tells of others is learned from pairs that are not known."""


def known_matches(
    connection: duckdb.DuckDBPyConnection, roles: Sequence[Role], together: npt.NDArray[np.int32]
) -> tuple[int, dict[str, list[float]]]:
    """Count how profiles of one person agree: each with the next of its group.

    Makes ``open_pairs``: the candidates that are not known to be one person.

    :param together: group of each profile that is one person for other reasons, -1 for none.
    :return: the number of pairs; and how many fall into each level, by comparison, without those that join profiles.
    """
    groups = {"uid": np.arange(len(together), dtype=np.int32), "person": together}
    connection.register("groups", pa.table(groups))
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE known_pairs AS
        SELECT uid AS join_key_l, lead(uid) OVER (PARTITION BY person ORDER BY uid) AS join_key_r
        FROM groups WHERE person >= 0 QUALIFY join_key_r IS NOT NULL
    """)
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE open_pairs AS
        SELECT join_key_l, join_key_r FROM candidates k
        JOIN groups l ON l.uid = k.join_key_l JOIN groups r ON r.uid = k.join_key_r
        WHERE l.person <> r.person OR l.person < 0
    """)
    connection.unregister("groups")
    [(pairs,)] = connection.execute("SELECT count(*) FROM known_pairs").fetchall()
    patterns = count_patterns(connection, roles, pairs, "known_pairs")
    counted: dict[str, list[float]] = {}
    for number, role in enumerate(roles):
        if role.name not in _JOINING:
            levels = patterns.levels[:, number]
            is_seen = levels >= 0
            weights = patterns.pairs[is_seen]
            counted[role.name] = np.bincount(levels[is_seen], weights=weights, minlength=len(role.levels)).tolist()
    return pairs, counted
