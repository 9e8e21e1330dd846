"""Which identifiers may merge: shared values are contested, and no merge makes a customer that breaks a limit.

A plain connected component is as large as its worst identifier: one tablet at a till makes one customer of all who
touched it. A cap on the frequency of a value is a cliff (600,000 records with planted kiosks and family devices: F1
.003 when values over 200 records are dropped, .615 at 100). The guard asks two other questions, level by level from
the strongest type to the weakest:

1. How many customers that still differ does this value bring together? More than its policy allows: contested.
2. Would the merge give one customer more than the limit? Then the values of that merge are taken one by one, those that
   join the fewest customers first, and each that would break the limit is contested.

A contested value joins nobody, as a whole: which of its records are whose is not known. Only components that could
break a limit are looked at, a few per cent in practice; the rest are accepted as plain components.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transforms.identity.components import Nodes, components, first_held
from transforms.identity.hubs import contest_hubs
from transforms.identity.levels import merge_by_level
from transforms.identity.limits import Guarded, Limits
from transforms.identity.policy import Policy


def guarded_clusters(matrix: Nodes, level_of_node: npt.NDArray[np.integer], policy: Policy) -> Guarded:
    """Cluster identifiers under a policy.

    :param matrix: observations × types in merging order, a node or -1. Node numbers must follow the data's own order
        (see :mod:`transforms.identity.edges`), for they break ties.
    :param level_of_node: merging level of each node.
    """
    limits = Limits.of(policy)
    outcome = Guarded.empty(len(level_of_node))
    matrix = matrix.copy()
    contest_hubs(matrix, limits, outcome)
    is_held = np.zeros(len(level_of_node), dtype=bool)
    is_held[matrix[matrix >= 0]] = True
    held = np.flatnonzero(is_held)
    cluster = components(matrix, len(level_of_node))
    outcome.cluster[held] = cluster[held]
    types = len(limits.names)
    cells = cluster[held].astype(np.int64) * types + level_of_node[held]
    counts = np.bincount(cells, minlength=types * (int(cluster.max(initial=-1)) + 1)).reshape(-1, types)
    suspicious = limits.suspicious(counts)
    first = first_held(matrix)
    matrix = matrix[first >= 0]
    matrix = matrix[suspicious[cluster[first[first >= 0]]]]
    merge_by_level(matrix, limits, outcome, first_label=len(counts))
    return outcome
