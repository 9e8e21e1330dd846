"""The identity run: observations in, customers out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

import numpy as np

from transforms.identity.assignment import assign_customers
from transforms.identity.edges import build_nodes, graph, read_observations, sum_sightings
from transforms.identity.guard import guarded_clusters
from transforms.identity.keys import define_keyed_hash, identifier_secret
from transforms.identity.memory import load_last_state, secret_fingerprint
from transforms.identity.normalise import NORMALISER_VERSION
from transforms.identity.outcome import figures, make_outcome, store_clusters
from transforms.identity.policy import Policy, load_policy
from transforms.identity.report import IdentityReport
from transforms.identity.store import SCHEMAS, IdentityStore, write_empty_tables, write_table
from transforms.settings import Settings
from transforms.sql import scratch_connection

Progress = Callable[[str], None]


def resolve_identities(
    settings: Settings,
    phone_regions: Mapping[str, str],
    as_of: date,
    run_id: str,
    progress: Progress | None = None,
    policy: Policy | None = None,
) -> IdentityReport:
    """Decide which identifiers belong to one customer, and make the outcome current in the lake.

    Reads ``intermediate.int_identity_observations`` of the warehouse, which it opens read-only and leaves before it
    returns, and the last outcome, from which customers keep their ids. Writes ``<lake>/identity/runs/<run_id>`` and
    points ``<lake>/identity/current`` at it: readers see the old outcome or the new one.

    The customers depend on the observations and the policy alone, their ids also on the last outcome; the order of
    rows never matters. A second run over the same observations changes nothing.

    :param phone_regions: source → ISO region of its national telephone numbers.
    :param as_of: day of the outcome, from which new aliases hold; one for an earlier day than the last is not
        remembered.
    :param run_id: name of the run and of its folder.
    :param progress: called with a line after each step.
    :param policy: default ``policy.yaml`` beside this module.
    :raises FileNotFoundError: if there is no warehouse.
    :raises ValueError: if a region or the run id is not usable.
    :raises duckdb.CatalogException: if the warehouse has no observations table.
    """
    policy = policy or load_policy()
    store = IdentityStore(settings)
    secret = identifier_secret(settings)
    seconds: dict[str, float] = {}
    with (
        scratch_connection(settings) as connection,
        store.new_run(run_id, _state(secret, policy, as_of)) as folder,
    ):
        define_keyed_hash(connection, secret)
        with _step("read", seconds, progress):
            read_observations(connection, settings.warehouse, phone_regions)
        with _step("normalise", seconds, progress):
            build_nodes(connection, policy, progress)
        with _step("cluster", seconds, progress):
            matrix, level_of_node = graph(connection, policy)
            guarded = guarded_clusters(matrix, level_of_node, policy)
        with _step("assign", seconds, progress):
            sum_sightings(connection, policy)
            store_clusters(connection, matrix, guarded)
            load_last_state(connection, store, secret)
            changes = assign_customers(connection, secret, as_of, run_id)
        with _step("write", seconds, progress):
            make_outcome(connection)
            for table in SCHEMAS:
                # The first two columns are the key of each table: equal outcomes give equal files.
                write_table(connection, f"SELECT * FROM {table} ORDER BY 1, 2", folder, table)
        refused = np.append(guarded.reason >= 0, False)[matrix]
        return IdentityReport(
            **figures(connection),
            **vars(changes),
            refused_edges=int(refused.sum()),
            refused_merges=guarded.refused_merges,
            seconds=seconds,
        )


def ensure_empty_state(settings: Settings) -> None:
    """Make an outcome without customers current if there is none, so that models which read it can be built."""
    store = IdentityStore(settings)
    if store.exists():
        return
    with store.new_run("empty", _state(identifier_secret(settings), load_policy())) as folder:
        write_empty_tables(folder)


def _state(secret: bytes, policy: Policy, as_of: date | None = None) -> dict[str, Any]:
    return {
        "as_of": as_of.isoformat() if as_of else None,
        "normaliser_version": NORMALISER_VERSION,
        "policy_version": policy.version,
        "secret_fingerprint": secret_fingerprint(secret),
    }


@contextmanager
def _step(name: str, seconds: dict[str, float], progress: Progress | None) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started
    if progress:
        progress(f"{name}: {seconds[name]:.1f} s")
