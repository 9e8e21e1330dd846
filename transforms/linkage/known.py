"""What agreement tells, counted over profiles that identifiers have made one person: labels that the data bring along.

Expectation maximisation has to find the matches before it can learn from them, and where people are seldom listed twice
it may find others: all of one given name in one town, whose birth dates and family names then tell nothing. Who gave
one loyalty card or mailbox twice is one person for a reason that names, birth dates and addresses know nothing of, so
the shares among such pairs are those of true matches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.linkage.anchor import count_patterns
from transforms.linkage.roles import Role

Shares = Mapping[str, Sequence[float]]

_JOINING = frozenset({"email", "phone"})
"""Identifiers themselves: most of those who are known agree on them, for that is how they became known."""


def known_matches(
    connection: duckdb.DuckDBPyConnection, roles: Sequence[Role], together: npt.NDArray[np.int32]
) -> tuple[int, Shares]:
    """Count how profiles of one person agree: each with the next of its group.

    :param together: group of each profile that is one person for other reasons, -1 for none.
    :return: the number of pairs; and by comparison how many fall into each level, none of what joins profiles itself.
    """
    groups = {"uid": np.arange(len(together), dtype=np.int32), "person": together}
    connection.register("groups", pa.table(groups))
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE known_pairs AS
        SELECT uid AS join_key_l, lead(uid) OVER (PARTITION BY person ORDER BY uid) AS join_key_r
        FROM groups WHERE person >= 0 QUALIFY join_key_r IS NOT NULL
    """)
    connection.unregister("groups")
    [(pairs,)] = connection.execute("SELECT count(*) FROM known_pairs").fetchall()
    patterns = count_patterns(connection, roles, pairs, "known_pairs")
    connection.execute("DROP TABLE known_pairs")
    counted: dict[str, Sequence[float]] = {}
    for number, role in enumerate(roles):
        levels = patterns.levels[:, number]
        is_seen = (levels >= 0) & (role.name not in _JOINING)
        counted[role.name] = np.bincount(
            levels[is_seen], weights=patterns.pairs[is_seen], minlength=len(role.levels)
        ).tolist()
    return pairs, counted
