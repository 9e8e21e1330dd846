"""The work of an identity run, up to the customers and their ids; nothing of it leaves the connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

import duckdb
import numpy as np

from transforms.identity.assignment import Changes, assign_customers
from transforms.identity.decisions import Linker, gather_links, judged_overrides, note_links, read_decisions
from transforms.identity.edges import build_nodes, count_held, days_seen, graph, read_observations, sum_sightings
from transforms.identity.guard import guarded_clusters
from transforms.identity.keys import define_keyed_hash
from transforms.identity.limits import Guarded, Limits
from transforms.identity.links import join_linked
from transforms.identity.memory import load_last_state
from transforms.identity.outcome import make_links, make_outcome, store_clusters, store_rows
from transforms.identity.overrides import Override, Verdict, read_overrides
from transforms.identity.policy import Policy, load_policy
from transforms.identity.store import IdentityStore
from transforms.settings import Settings

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What a run goes by."""

    settings: Settings
    phone_regions: Mapping[str, str]
    as_of: date
    run_id: str
    policy: Policy
    overrides: tuple[Override, ...]
    linker: Linker | None = None

    @classmethod
    def of(
        cls,
        settings: Settings,
        phone_regions: Mapping[str, str],
        as_of: date,
        run_id: str,
        policy: Policy | None = None,
        linker: Linker | None = None,
    ) -> Plan:
        """With the policy and the overrides that the settings name.

        :raises PolicyError: if the policy has a fault.
        :raises OverrideError: if the file of overrides has one.
        """
        policy = policy or load_policy(settings.identity_policy)
        overrides = read_overrides(settings.overrides, policy.levels)
        return cls(settings, phone_regions, as_of, run_id, policy, overrides, linker)


@dataclass(frozen=True)
class Settled:
    """What a run found; the tables are on the connection."""

    guarded: Guarded
    changes: Changes
    verdicts: Sequence[Verdict]
    refused_links: Sequence[str | None]
    refused_edges: int


@dataclass(frozen=True)
class Clock:
    """Elapsed time by step, told as it passes."""

    seconds: dict[str, float] = field(default_factory=dict)
    progress: Progress | None = None

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time the work within."""
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started
        if self.progress:
            self.progress(f"{name}: {self.seconds[name]:.1f} s")


def settle(
    connection: duckdb.DuckDBPyConnection, plan: Plan, store: IdentityStore, secret: bytes, clock: Clock
) -> Settled:
    """Work out customers and ids on a scratch connection.

    Leaves ``assignments``, ``identifiers``, ``customers``, ``aliases``, ``links``, ``overrides``, ``linked_records``,
    ``registry`` and ``issued`` there, and the tables that they are made of.
    """
    policy, warehouse = plan.policy, plan.settings.warehouse
    define_keyed_hash(connection, secret)
    with clock.step("read"):
        read_observations(connection, warehouse, plan.phone_regions)
    with clock.step("normalise"):
        build_nodes(connection, policy, clock.progress)
    with clock.step("cluster"):
        decisions = read_decisions(connection, warehouse, plan.overrides, policy, plan.phone_regions, plan.as_of)
        matrix, level_of_node = graph(connection, policy)
        guarded = guarded_clusters(matrix, level_of_node, policy, days_seen(connection), decisions.apart)
    with clock.step("link"):
        likely = plan.linker(_resolved(connection, guarded)) if plan.linker else None
        edges = gather_links(connection, warehouse, decisions, likely)
        guarded.add_rows(count_held(connection))
        refused = join_linked(edges, guarded, level_of_node, Limits.of(policy), decisions.apart)
        note_links(connection, refused)
        verdicts = judged_overrides(decisions, refused)
    with clock.step("assign"):
        sum_sightings(connection, policy)
        store_clusters(connection, guarded)
        load_last_state(connection, store, secret)
        changes = assign_customers(connection, secret, plan.as_of, plan.run_id)
        make_outcome(connection)
        make_links(connection, verdicts)
    contested = np.append(guarded.reason >= 0, False)[matrix]
    refused_edges = int(contested.sum()) + len(guarded.cut[0]) + sum(why is not None for why in refused)
    return Settled(guarded, changes, verdicts, refused, refused_edges)


def _resolved(connection: duckdb.DuckDBPyConnection, guarded: Guarded) -> duckdb.DuckDBPyConnection:
    """Show a linker what the identifiers have joined: ``resolved`` (identity_key, cluster)."""
    store_rows(connection, guarded)
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW resolved AS"
        " SELECT identity_key, cluster FROM held JOIN clustered USING (observation)"
    )
    return connection
