"""The identity run: observations in, customers out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from transforms.identity.assignment import assign_customers
from transforms.identity.decisions import Linker, gather_links, judged_overrides, note_links, read_decisions
from transforms.identity.edges import build_nodes, count_held, days_seen, graph, read_observations, sum_sightings
from transforms.identity.evidence import make_evidence
from transforms.identity.guard import guarded_clusters
from transforms.identity.history import make_history
from transforms.identity.keys import define_keyed_hash, identifier_secret
from transforms.identity.limits import Guarded, Limits
from transforms.identity.links import join_linked
from transforms.identity.memory import load_last_state, secret_fingerprint
from transforms.identity.normalise import NORMALISER_VERSION
from transforms.identity.outcome import figures, make_links, make_outcome, store_clusters, store_rows
from transforms.identity.overrides import Verdict, read_overrides
from transforms.identity.policy import Policy, load_policy
from transforms.identity.quality import judge, make_quality, measure_quality
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
    linker: Linker | None = None,
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
    :param policy: default that of the settings.
    :param linker: finds links that no identifier makes; see :data:`transforms.identity.decisions.Linker`. They take
        part as the weakest edges, under the limits of the policy.
    :raises FileNotFoundError: if there is no warehouse.
    :raises ValueError: if a region or the run id is not usable.
    :raises PolicyError: if the policy has a fault.
    :raises OverrideError: if the file of overrides has one.
    :raises IdentityHeld: if a component has exploded; the last outcome stays current.
    :raises duckdb.CatalogException: if the warehouse has no observations table.
    """
    policy = policy or load_policy(settings.identity_policy)
    overrides = read_overrides(settings.overrides, policy.levels)
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
            decisions = read_decisions(connection, settings.warehouse, overrides, policy, phone_regions, as_of)
            matrix, level_of_node = graph(connection, policy)
            guarded = guarded_clusters(matrix, level_of_node, policy, days_seen(connection), decisions.apart)
        with _step("link", seconds, progress):
            likely = linker(_resolved(connection, guarded)) if linker else None
            edges = gather_links(connection, settings.warehouse, decisions, likely)
            guarded.add_rows(count_held(connection))
            refused = join_linked(edges, guarded, level_of_node, Limits.of(policy), decisions.apart)
            note_links(connection, refused)
            verdicts = judged_overrides(decisions, refused)
        with _step("assign", seconds, progress):
            sum_sightings(connection, policy)
            store_clusters(connection, guarded)
            load_last_state(connection, store, secret)
            changes = assign_customers(connection, secret, as_of, run_id)
        with _step("judge", seconds, progress):
            make_outcome(connection)
            make_links(connection, verdicts)
            make_evidence(connection, guarded, policy)
            is_look_back = store.looks_back(as_of)
            make_history(connection, as_of, run_id, is_look_back)
            quality = measure_quality(connection, settings.warehouse, changes)
            make_quality(connection, quality, as_of, run_id)
            judge(quality, settings, is_look_back)
        with _step("write", seconds, progress):
            for table, columns in SCHEMAS.items():
                # The first columns are the key of each table: equal outcomes give equal files.
                key = ", ".join(list(columns)[:3])
                write_table(connection, f"SELECT * FROM {table} ORDER BY {key}", folder, table)
        contested = np.append(guarded.reason >= 0, False)[matrix]
        return IdentityReport(
            **figures(connection),
            **vars(changes),
            refused_edges=int(contested.sum()) + len(guarded.cut[0]) + sum(why is not None for why in refused),
            refused_merges=guarded.refused_merges,
            quality=quality,
            links=sum(why is None for why in refused),
            overrides=dict(Counter(verdict.status for verdict in verdicts)),
            remarks=tuple(_remarks(settings.overrides, verdicts)),
            seconds=seconds,
        )


def _resolved(connection: duckdb.DuckDBPyConnection, guarded: Guarded) -> duckdb.DuckDBPyConnection:
    """Show a linker what the identifiers have joined: ``resolved`` (identity_key, cluster)."""
    store_rows(connection, guarded)
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW resolved AS"
        " SELECT identity_key, cluster FROM held JOIN clustered USING (observation)"
    )
    return connection


def _remarks(path: Path, verdicts: Iterable[Verdict]) -> Iterator[str]:
    """Sentences about overrides that did not do what they say."""
    for verdict in verdicts:
        if verdict.status != "applied":
            override = verdict.override
            yield f"{path}:{override.line}: {override.action} not applied, {verdict.status}: {verdict.detail}"


def ensure_empty_state(settings: Settings) -> None:
    """Make an outcome without customers current if there is none, so that models which read it can be built."""
    store = IdentityStore(settings)
    if store.exists():
        return
    with store.new_run("empty", _state(identifier_secret(settings), load_policy(settings.identity_policy))) as folder:
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
