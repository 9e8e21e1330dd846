"""The work of an identity run, up to the customers and their ids; nothing of it leaves the connection."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import duckdb
import numpy as np

from transforms.identity.assignment import Changes, assign_customers
from transforms.identity.decisions import Linking, gather_links, judged_overrides, note_links, read_decisions
from transforms.identity.edges import build_nodes, count_held, days_seen, graph, read_observations, sum_sightings
from transforms.identity.further import add_observations
from transforms.identity.guard import guarded_clusters
from transforms.identity.keys import define_keyed_hash
from transforms.identity.limits import Guarded, Limits
from transforms.identity.links import join_linked
from transforms.identity.memory import load_last_state
from transforms.identity.outcome import make_links, make_outcome, store_clusters, store_rows
from transforms.identity.overrides import Verdict
from transforms.identity.place import place
from transforms.identity.plan import Clock, Plan
from transforms.identity.public import count_public, find_public, make_public
from transforms.identity.reach import FURTHER, WHOLE, Reach, find_reach, links_within, touch_components, widen
from transforms.identity.store import IdentityStore


@dataclass(frozen=True)
class Settled:
    """What a run found; the tables are on the connection."""

    guarded: Guarded
    changes: Changes
    verdicts: Sequence[Verdict]
    reach: Reach
    resolved: int
    """Observations that were worked out."""


def settle(
    connection: duckdb.DuckDBPyConnection,
    plan: Plan,
    store: IdentityStore,
    secret: bytes,
    clock: Clock,
    is_whole: bool = False,
) -> Settled:
    """Work out customers and ids on a scratch connection, of the components that something new touches.

    Leaves ``assignments``, ``usable_identifiers``, ``blocked``, ``customers``, ``aliases``, ``links``, ``overrides``,
    ``linked_records``, ``seen``, ``public_rows``, ``registry`` and ``issued`` there, and the tables that they are made
    of; with the ``component`` of each row, and ``touched``, the components of the last outcome that these rows replace.

    :param is_whole: work out everything.
    """
    define_keyed_hash(connection, secret)
    with plan.linker() if plan.linker else nullcontext() as linking:
        return _settle(connection, plan, store, secret, clock, is_whole, linking)


def _settle(
    connection: duckdb.DuckDBPyConnection,
    plan: Plan,
    store: IdentityStore,
    secret: bytes,
    clock: Clock,
    is_whole: bool,
    linking: Linking | None,
) -> Settled:
    policy, warehouse = plan.policy, plan.settings.warehouse
    with clock.step("compare"):
        reach = WHOLE if is_whole else find_reach(connection, plan, store, plan.circumstances(secret))
    while True:
        with clock.step("read"):
            read_observations(connection, warehouse, plan.phone_regions, reach.observations)
        with clock.step("normalise"):
            build_nodes(connection, policy, clock.progress)
            fallen = find_public(connection, policy, None if reach.is_whole else store)
            if reach.is_whole or not touch_components(connection, fallen):
                break
    with clock.step("cluster"):
        decisions = read_decisions(connection, warehouse, plan.overrides, policy, plan.phone_regions, plan.as_of)
        matrix, level_of_node = graph(connection, policy)
        guarded = guarded_clusters(matrix, level_of_node, policy, days_seen(connection), decisions.apart)
    with clock.step("link"):
        _label_rows(connection, guarded, reach, linking is not None)
        likely = linking(connection) if linking else None
        # What a model sees anew may join customers whom nothing else has touched.
        if likely is not None and not reach.is_whole:
            if widen(connection, plan, store, likely):
                matrix, level_of_node = add_observations(connection, plan, FURTHER, matrix, level_of_node, guarded)
                _label_rows(connection, guarded, reach, True)
            likely = links_within(connection)
        edges = gather_links(connection, warehouse, decisions, likely)
        guarded.add_rows(count_held(connection))
        refused = join_linked(edges, guarded, level_of_node, Limits.of(policy), decisions.apart)
        note_links(connection, refused)
        verdicts = judged_overrides(decisions, refused)
    with clock.step("assign"):
        sum_sightings(connection, policy)
        store_clusters(connection, guarded)
        load_last_state(connection, store, secret, reach)
        changes = assign_customers(connection, secret, plan.as_of, plan.run_id)
        place(connection, matrix)
        contested = np.append(guarded.reason >= 0, False)[matrix].sum(axis=1)
        cut = np.bincount(guarded.cut[0], minlength=len(contested))
        shared = count_public(connection, policy)[: len(contested)]
        make_outcome(connection, policy.levels, contested + cut + shared)
        make_public(connection, policy)
        make_links(connection, verdicts)
    return Settled(guarded, changes, verdicts, reach, len(matrix))


def _label_rows(connection: duckdb.DuckDBPyConnection, guarded: Guarded, reach: Reach, is_linked: bool) -> None:
    """Make ``by_identifiers`` (identity_key, label), what identifiers alone have joined, for a later run to know; and
    ``resolved`` (identity_key, cluster), the same of all observations, for a linker."""
    store_rows(connection, guarded)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE by_identifiers AS
        SELECT identity_key, hash(min(identity_key) OVER (PARTITION BY cluster)) AS label
        FROM held JOIN clustered USING (observation) WHERE {is_linked}
    """)
    kept = """
        UNION ALL
        SELECT identity_key, by_identifiers FROM last_seen
        WHERE by_identifiers IS NOT NULL AND component NOT IN (SELECT component FROM touched)
    """
    connection.execute(f"""
        CREATE OR REPLACE TEMP VIEW resolved AS
        SELECT identity_key, label AS cluster FROM by_identifiers {"" if reach.is_whole else kept}
    """)
