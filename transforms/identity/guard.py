"""Which identifiers may merge: shared values are contested, and no merge makes a customer that breaks a limit.

A plain connected component is as large as its worst identifier: one tablet at a till makes one customer of all who
touched it. A cap on the frequency of a value is a cliff (600,000 records with planted kiosks and family devices: F1
.003 when values over 200 records are dropped, .615 at 100). The guard asks two other questions, level by level from
the strongest type to the weakest:

1. How many customers that still differ does this value bring together? More than its policy allows: contested.
2. Would the merge give one customer more than the limit? Then the values of that merge are taken one by one, those that
   join the fewest customers first, and each that would break the limit is contested.

Three more questions concern few: has the value changed hands (:mod:`transforms.identity.tenures`), would it join whom
weaker types keep apart (a couple's payment card, :mod:`transforms.identity.levels`), and have people said who must stay
apart (:mod:`transforms.identity.apart`)?

A contested value joins nobody, as a whole: which of its records are whose is not known. Only components that could
break a limit are looked at, a few per cent in practice; the rest are accepted as plain components.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transforms.identity.apart import Apart, cut_within_rows
from transforms.identity.components import Nodes, components, first_held
from transforms.identity.hubs import contest_hubs
from transforms.identity.levels import merge_by_level
from transforms.identity.limits import ALONE, BOTH_TIMES, KEPT_APART, Guarded, Limits, cuts
from transforms.identity.policy import Policy
from transforms.identity.tenures import Days, seen_alone, values_with_pauses


def guarded_clusters(
    matrix: Nodes,
    level_of_node: npt.NDArray[np.integer],
    policy: Policy,
    days: Days | None = None,
    apart: Apart | None = None,
) -> Guarded:
    """Cluster identifiers under a policy.

    :param matrix: observations × types in merging order, a node or -1. Node numbers must follow the data's own order
        (see :mod:`transforms.identity.edges`), for they break ties.
    :param level_of_node: merging level of each node.
    :param days: when each observation was seen; without them nothing changes hands.
    :param apart: observations and identifiers that must not become one customer.
    """
    limits, apart = Limits.of(policy), apart or Apart()
    outcome = Guarded.empty(len(level_of_node))
    matrix, cut_rows, cut_nodes = cut_within_rows(matrix.copy(), apart)
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
    _suspect(suspicious, cluster, matrix, first, limits, days, apart)
    looked_at = np.flatnonzero(first >= 0)
    looked_at = looked_at[suspicious[cluster[first[looked_at]]]]
    position = np.full(len(matrix), -1, dtype=np.int64)
    position[looked_at] = np.arange(len(looked_at))
    matrix[looked_at], (rows, nodes, reasons) = merge_by_level(
        matrix[looked_at],
        limits,
        outcome,
        len(counts),
        Apart(apart.rows.moved(position), apart.nodes),
        days.of(looked_at) if days else Days.always(len(looked_at)),
    )
    outcome.cut = cuts(
        [
            (cut_rows, cut_nodes, KEPT_APART),
            *((looked_at[rows[reasons == why]], nodes[reasons == why], why) for why in (BOTH_TIMES, ALONE)),
        ]
    )
    # Tenures are numbered in one row after the nodes.
    cluster_of_own = np.array(outcome.tenure_cluster, dtype=np.int32)
    # All linked identifiers of an observation have the same cluster, so any of them tells it.
    clusters = np.concatenate([outcome.cluster, cluster_of_own, np.array([-1], dtype=np.int32)])
    outcome.row_cluster = clusters[matrix].max(axis=1, initial=-1)
    return outcome


def _suspect(
    suspicious: npt.NDArray[np.bool_],
    cluster: Nodes,
    matrix: Nodes,
    first: Nodes,
    limits: Limits,
    days: Days | None,
    apart: Apart,
) -> None:
    """Mark the components that hold a value which may have changed hands or was seen alone, or somebody who must stay
    apart."""
    if days:
        for level in np.flatnonzero(limits.idle_days + limits.alone_days):
            strongest = np.where(first == matrix[:, level], -1, first).astype(np.int32)
            if limits.idle_days[level]:
                values = values_with_pauses(matrix[:, level], strongest, days, int(limits.idle_days[level]))
                suspicious[cluster[values]] = True
            if limits.alone_days[level]:
                alone = seen_alone(matrix[:, level], strongest, days, int(limits.alone_days[level]))
                suspicious[cluster[matrix[alone, level]]] = True
    suspicious[cluster[apart.nodes.things]] = True
    of_rows = first[apart.rows.things]
    suspicious[cluster[of_rows[of_rows >= 0]]] = True
