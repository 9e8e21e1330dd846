"""The identity run: observations in, customers out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path

from transforms.identity.decisions import Linker
from transforms.identity.evidence import make_evidence
from transforms.identity.history import make_history
from transforms.identity.keys import identifier_secret, secret_fingerprint
from transforms.identity.outcome import figures
from transforms.identity.overrides import Verdict
from transforms.identity.parts import write_parts
from transforms.identity.plan import Clock, Plan, Progress
from transforms.identity.policy import Policy
from transforms.identity.quality import judge, make_quality, measure_quality
from transforms.identity.report import IdentityReport
from transforms.identity.settle import settle
from transforms.identity.store import PARTED, SCHEMAS, IdentityStore, write_empty_tables, write_table
from transforms.settings import Settings
from transforms.sql import scratch_connection


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
    rows never matters. A second run over the same observations changes nothing. Only what new observations, links and
    decisions touch is worked out (:mod:`transforms.identity.reach`); the outcome is that of a run over everything.

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
    plan = Plan.of(settings, phone_regions, as_of, run_id, policy, linker)
    store = IdentityStore(settings)
    secret = identifier_secret(settings)
    seconds: dict[str, float] = {}
    clock = Clock(seconds, progress)
    with (
        scratch_connection(settings) as connection,
        store.new_run(run_id, plan.circumstances(secret) | {"as_of": as_of.isoformat()}) as folder,
    ):
        found = settle(connection, plan, store, secret, clock)
        with clock.step("explain"):
            make_evidence(connection, found.guarded, plan.policy)
        with clock.step("write"):
            write_parts(connection, store, found.reach, folder)
        with clock.step("judge"):
            is_look_back = store.looks_back(as_of)
            make_history(connection, as_of, run_id, is_look_back)
            counted = figures(connection)
            quality = measure_quality(connection, settings.warehouse, found.changes, store, counted)
            make_quality(connection, quality, as_of, run_id)
            judge(quality, settings, is_look_back)
            for table in sorted(set(SCHEMAS) - PARTED):
                write_table(connection, f"FROM {table} ORDER BY {', '.join(list(SCHEMAS[table])[:3])}", folder, table)
        return IdentityReport(
            **counted,
            **vars(found.changes),
            resolved=found.resolved,
            quality=quality,
            overrides=dict(Counter(verdict.status for verdict in found.verdicts)),
            remarks=tuple(_remarks(settings.overrides, found.verdicts)),
            seconds=seconds,
        )


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
    state = {"as_of": None, "secret_fingerprint": secret_fingerprint(identifier_secret(settings))}
    with store.new_run("empty", state) as folder:
        write_empty_tables(folder)
