"""What identifiers allow: two records of a person can be told to be one only where a chain of identifiers joins them.

A browser that never gave a name is nobody's for any method; recall against all pairs of a person counts it as lost.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from transforms.demo.report import STAGED
from transforms.identity.components import components, first_held
from transforms.identity.edges import build_nodes, graph, read_observations
from transforms.identity.policy import load_policy
from transforms.identity.store import IdentityStore
from transforms.settings import Settings
from transforms.sql import literal, scratch_connection


def attained_recall(settings: Settings, phone_regions: Mapping[str, str]) -> float:
    """Share of the pairs of records that identifiers allow which the last run has put into one customer, 0 to 1.

    A pair is allowed if both are records of one person, scored ones
    (:func:`transforms.demo.scoring.score_identity`), and a chain of that person's scored records leads from one to the
    other, each of which shares a usable identifier with the next. 1 where there is none.

    :param phone_regions: source → ISO region of its national telephone numbers.
    """
    policy = load_policy(settings.identity_policy)
    with scratch_connection(settings) as connection:
        read_observations(connection, settings.warehouse, phone_regions)
        build_nodes(connection, policy)
        held, level = graph(connection, policy)
        connection.execute(f"ATTACH {literal(settings.warehouse)} AS warehouse (READ_ONLY)")
        connection.execute("USE warehouse")
        rows = connection.execute(f"""
            SELECT dense_rank() OVER (ORDER BY person_id) - 1 AS person, observation,
                   dense_rank() OVER (ORDER BY customer_id) AS customer,
                   customer_id IS NOT NULL AS is_found, count(*) AS records
            FROM read_parquet({literal(settings.truth / "records.parquet")}) t JOIN ({STAGED}) r USING (record_id)
            JOIN temp.held h USING (identity_key)
            LEFT JOIN {IdentityStore(settings).table("assignments")} a USING (identity_key)
            WHERE t.is_scored GROUP BY person_id, observation, customer_id
        """).fetchnumpy()
    if not len(rows["observation"]):
        return 1.0
    person, customer, records = (np.asarray(rows[name], dtype=np.int64) for name in ("person", "customer", "records"))
    cells = held[np.asarray(rows["observation"])].astype(np.int64)
    # A vertex is an identifier in the hands of one person: whom else it belongs to does not matter.
    keys, numbers = np.unique(np.where(cells < 0, -1, person[:, None] * len(level) + cells), return_inverse=True)
    matrix = numbers.reshape(cells.shape).astype(np.int32) - np.int32(keys[:1] == -1)
    first = first_held(matrix)
    component = np.where(first < 0, -1, components(matrix, len(keys))[first])
    is_allowed = component >= 0
    allowed = _pairs(component[is_allowed], records[is_allowed])
    is_met = is_allowed & np.asarray(rows["is_found"], dtype=bool)
    met = _pairs(component[is_met] * (customer.max(initial=0) + 1) + customer[is_met], records[is_met])
    return met / allowed if allowed else 1.0


def _pairs(groups: npt.NDArray[np.int64], records: npt.NDArray[np.int64]) -> int:
    """Pairs of records within groups, of which each entry holds a number of records."""
    _, number = np.unique(groups, return_inverse=True)
    sizes = np.bincount(number, weights=records).astype(np.int64)
    return int((sizes * (sizes - 1) // 2).sum())
