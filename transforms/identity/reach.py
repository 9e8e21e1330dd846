"""How far reaches what is new: the components that a run works out anew, and those that stay as the last one left them.

Within a component (:mod:`transforms.identity.place`) every decision depends on that component's observations, links and
remembered ids alone. So a run that finds the same policy, secret and rules as the last one compares the fingerprints of
observations, looks up which components the new, changed and vanished ones touch, and resolves only these: its outcome
is that of a run over everything, at the cost of what is new. What people have decided is weighed anew each time.

A look back at an earlier day, another policy, key or version, and a day on which much has changed are worked out whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from transforms.identity.decisions import LINK_COLUMNS, PROBABILISTIC, name_values
from transforms.identity.edges import normalise_observed, observed, read_observations
from transforms.identity.outcome import RECORD
from transforms.identity.overrides import KEY, Override
from transforms.identity.place import NOBODYS
from transforms.identity.plan import Plan
from transforms.identity.records import find_records
from transforms.identity.store import IdentityStore, rows_of

MOST = 0.3
"""Share of changed observations from which on everything is worked out anew: it costs no more, and tidies up."""

FURTHER = "further"
"""Table of the fingerprints of observations that only links reach."""


@dataclass(frozen=True)
class Reach:
    """The components that a run resolves: all, or those in the table ``touched`` of the connection."""

    is_whole: bool

    @property
    def observations(self) -> str | None:
        """Table of the fingerprints of observations to read; None for all."""
        return None if self.is_whole else "reached"

    def last(self, store: IdentityStore, table: str) -> str:
        """SQL of the rows of a parted table in the last outcome that this run replaces."""
        if self.is_whole:
            return rows_of(store.remembered, table)
        rows = rows_of(store.remembered, table, with_component=True)
        return f"(SELECT * EXCLUDE (component) FROM {rows} WHERE component IN (SELECT component FROM touched))"


WHOLE = Reach(True)


def find_reach(
    connection: duckdb.DuckDBPyConnection,
    plan: Plan,
    store: IdentityStore,
    given: Mapping[str, object],
) -> Reach:
    """Compare the warehouse's observations with those of the last outcome.

    Makes ``touched`` (component) and ``reached`` (fingerprint), unless everything is to be resolved.

    :param given: circumstances of this run.
    :raises FileNotFoundError: if there is no warehouse.
    """
    if not store.exists() or store.looks_back(plan.as_of):
        return WHOLE
    if {name: store.state().get(name) for name in given} != dict(given):
        return WHOLE
    changed, observations = _compare(connection, plan, store)
    if changed > MOST * observations:
        return WHOLE
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE touched AS
        SELECT DISTINCT component FROM last_seen WHERE NOT is_today
        UNION SELECT CAST('{NOBODYS}' AS UUID)
    """)
    if changed:
        read_observations(connection, plan.settings.warehouse, plan.phone_regions, "changed")
        normalise_observed(connection, plan.policy)
        connection.execute("""
            CREATE OR REPLACE TEMP TABLE changed_keys AS
            SELECT DISTINCT keyed_hash(type || ':' || value, 32) AS identifier_key FROM normalised
            WHERE status = 'usable'
        """)
        _touch_keys(connection, store, "FROM changed_keys")
    _touch_decided(connection, plan, store)
    _find_reached(connection)
    return Reach(False)


def _compare(connection: duckdb.DuckDBPyConnection, plan: Plan, store: IdentityStore) -> tuple[int, int]:
    """Make ``changed`` (fingerprint), the observations that the last run has not seen, and ``last_seen``, those that it
    has, and whether they are still there.

    :return: the number of changed observations, and of all.
    """
    last = rows_of(store.remembered, "observations", with_component=True)
    with observed(connection, plan.settings.warehouse, plan.phone_regions) as query:
        # Few are on one side alone, and no more is held of the others than their fingerprints, while they are joined.
        connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE compared AS
            SELECT l.fingerprint AS last_fingerprint, t.fingerprint
            FROM (SELECT fingerprint FROM {last}) l
            FULL JOIN (SELECT fingerprint FROM ({query})) t ON t.fingerprint = l.fingerprint
            WHERE l.fingerprint IS NULL OR t.fingerprint IS NULL
        """)
        [(observations,)] = connection.execute(f"SELECT count(*) FROM ({query})").fetchall()
    [(changed,)] = connection.execute(
        "CREATE OR REPLACE TEMP TABLE changed AS SELECT fingerprint FROM compared WHERE fingerprint IS NOT NULL"
    ).fetchall()
    # A record that only a link has made somebody's has no fingerprint, and is no observation of any day.
    connection.execute(f"""
        CREATE OR REPLACE TEMP VIEW last_seen AS
        SELECT identity_key, fingerprint, by_identifiers, component,
               CASE WHEN fingerprint IS NOT NULL
                    THEN fingerprint NOT IN (SELECT last_fingerprint FROM compared WHERE last_fingerprint IS NOT NULL)
               END AS is_today
        FROM {last}
    """)
    return changed, observations


def widen(connection: duckdb.DuckDBPyConnection, plan: Plan, store: IdentityStore, likely: pa.Table) -> bool:
    """Touch the components of links that a model has found for the first time, or finds no more.

    Makes ``likely_now``, ``likely_then`` and ``new_links``; and :data:`FURTHER` of the observations that are to be
    resolved too, and adds them to ``reached``.

    :return: whether there are any.
    """
    connection.register("likely", likely.select(list(LINK_COLUMNS)).cast(pa.schema(list(LINK_COLUMNS.items()))))
    connection.execute("CREATE OR REPLACE TEMP TABLE likely_now AS FROM likely")
    connection.unregister("likely")
    last = rows_of(store.remembered, "links", with_component=True)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE likely_then AS
        SELECT left_side AS left_record, right_side AS right_record, probability, rule, model, component
        FROM {last} WHERE kind = '{PROBABILISTIC}'
    """)
    columns = ", ".join(LINK_COLUMNS)
    connection.execute(f"""
        INSERT INTO touched
        SELECT DISTINCT component FROM likely_then
        WHERE ({columns}) NOT IN (SELECT ({columns}) FROM likely_now)
    """)
    # A record may have got identifiers, or others, since it was linked.
    named = connection.execute("SELECT left_record FROM likely_now UNION SELECT right_record FROM likely_now")
    _find_records(connection, plan, [record for (record,) in named.fetchall()])
    linked = rows_of(store.remembered, "linked_records", with_component=True)
    connection.execute(f"""
        INSERT INTO touched
        WITH observed AS (
            SELECT identity_key FROM named_seen WHERE is_today
            UNION SELECT identity_key FROM held SEMI JOIN named_records USING (identity_key)
        )
        SELECT component FROM {linked} l LEFT JOIN named_records n USING (record_id)
        WHERE l.identity_key IS DISTINCT FROM (
            CASE WHEN n.identity_key IN (SELECT identity_key FROM observed) THEN n.identity_key END
        )
    """)
    # A link also works from the day on which its record comes.
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE new_links AS
        WITH came AS (
            SELECT record_id FROM named_records WHERE record_id NOT IN (SELECT record_id FROM {linked})
        )
        SELECT * FROM likely_now
        WHERE ({columns}) NOT IN (SELECT ({columns}) FROM likely_then) OR left_record IN (FROM came)
           OR right_record IN (FROM came)
    """)
    _touch_records(connection, store, "SELECT left_record FROM new_links UNION SELECT right_record FROM new_links")
    [(further,)] = connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE {FURTHER} AS
        SELECT fingerprint FROM last_seen
        WHERE is_today AND component IN (SELECT component FROM touched)
          AND fingerprint NOT IN (SELECT fingerprint FROM reached)
    """).fetchall()
    connection.execute(f"INSERT INTO reached FROM {FURTHER}")
    return further > 0


def touch_components(connection: duckdb.DuckDBPyConnection, components: Sequence[str]) -> bool:
    """Touch components of the last outcome.

    :return: whether there is more to resolve than before.
    """
    before = connection.execute("SELECT count(*) FROM touched").fetchall()
    connection.execute(
        "INSERT INTO touched SELECT c FROM (SELECT CAST(unnest($components) AS UUID) AS c)"
        " WHERE c NOT IN (SELECT component FROM touched)",
        {"components": list(components)},
    )
    if connection.execute("SELECT count(*) FROM touched").fetchall() == before:
        return False
    _find_reached(connection)
    return True


def links_within(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """The links of a model that touched components hold, and those that are new."""
    columns = ", ".join(LINK_COLUMNS)
    return connection.sql(f"""
        SELECT {columns} FROM likely_now WHERE ({columns}) NOT IN (
            SELECT ({columns}) FROM likely_then WHERE component NOT IN (SELECT component FROM touched)
        )
    """).to_arrow_table()


def _touch_keys(connection: duckdb.DuckDBPyConnection, store: IdentityStore, keys: str) -> None:
    """Touch the components of identifiers, also of those that are gone from the data."""
    for table in ("identifiers", "registry"):
        rows = rows_of(store.remembered, table, with_component=True)
        connection.execute(f"INSERT INTO touched SELECT component FROM {rows} WHERE identifier_key IN ({keys})")


def _find_records(connection: duckdb.DuckDBPyConnection, plan: Plan, records: Iterable[str]) -> None:
    """Make ``named_records`` and, of those whose observations the last run has seen, ``named_seen`` (record_id,
    identity_key, component, is_today)."""
    find_records(connection, plan.settings.warehouse, records)
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE named_seen AS
        SELECT record_id, identity_key, component, is_today FROM last_seen JOIN named_records USING (identity_key)
    """)


def _touch_records(connection: duckdb.DuckDBPyConnection, store: IdentityStore, records: str) -> None:
    """Touch the components of source records. Needs ``named_seen``."""
    connection.execute(f"""
        INSERT INTO touched
        SELECT component FROM named_seen WHERE record_id IN ({records})
        UNION
        SELECT component FROM {rows_of(store.remembered, "linked_records", with_component=True)}
        WHERE record_id IN ({records})
    """)
    # A record without identifiers may have been somebody's before its link went.
    own = f"SELECT keyed_hash('{RECORD}:' || record_id, 32) FROM ({records}) AS r(record_id)"
    connection.execute(f"""
        INSERT INTO touched
        SELECT component FROM {rows_of(store.remembered, "registry", with_component=True)}
        WHERE identifier_key IN ({own})
    """)


def _touch_decided(connection: duckdb.DuckDBPyConnection, plan: Plan, store: IdentityStore) -> None:
    """Touch what the decisions of people name, today's and those of the last run."""
    then = connection.execute(
        f"SELECT left_side FROM {rows_of(store.remembered, 'overrides')}"
        f" UNION SELECT right_side FROM {rows_of(store.remembered, 'overrides')}"
    ).fetchall()
    sides = sorted({*_sides(plan.overrides), *(side for (side,) in then)})
    if not sides:
        return
    kinds = set(plan.policy.levels)
    values = [(kind, value) for kind, _, value in (side.partition(":") for side in sides) if kind in kinds]
    keys = [value for kind, _, value in (side.partition(":") for side in sides) if kind == KEY]
    records = [side for side in sides if side.partition(":")[0] not in kinds | {KEY}]
    name_values(connection, values, plan.policy, plan.phone_regions)
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE decided_keys AS
        SELECT keyed_hash(type || ':' || value, 32) AS identifier_key FROM normalised UNION SELECT unnest($keys)
        """,
        {"keys": keys},
    )
    decided = "SELECT identifier_key FROM decided_keys"
    _touch_keys(connection, store, decided)
    # One component that holds a blocked value is enough to know that it is blocked.
    connection.execute(f"""
        INSERT INTO touched
        SELECT min(component) FROM {rows_of(store.remembered, "blocked", with_component=True)}
        WHERE identifier_key IN ({decided}) GROUP BY identifier_key
    """)
    _find_records(connection, plan, records)
    connection.register("decided_records", pa.table({"record_id": pa.array(records, pa.string())}))
    _touch_records(connection, store, "SELECT record_id FROM decided_records")
    connection.unregister("decided_records")


def _sides(overrides: Iterable[Override]) -> set[str]:
    return {side.text for override in overrides for side in (override.left, override.right)}


def _find_reached(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE reached AS
        FROM changed
        UNION ALL
        SELECT fingerprint FROM last_seen
        WHERE is_today AND component IN (SELECT component FROM touched)
    """)
