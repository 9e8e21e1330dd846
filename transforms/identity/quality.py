"""How good the customers look without knowing the truth: figures of each run, kept by day, and the bounds on them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from transforms.identity.assignment import Changes
from transforms.identity.store import IdentityStore, rows_of
from transforms.settings import Settings
from transforms.sql import literal

GIVEN_NAMES = 3
"""More given names than this in one customer are a sign of several people (Amperity's benchmark)."""


class IdentityHeld(RuntimeError):
    """A component has exploded; the outcome was not kept. The message says which figure, its bound and the way out."""


def measure_quality(
    connection: duckdb.DuckDBPyConnection,
    warehouse: Path,
    changes: Changes,
    store: IdentityStore,
    counted: Mapping[str, Any],
) -> dict[str, float | None]:
    """Figures of this run; shares from 0 to 1, None where there is nothing to take a share of.

    Needs the views ``outcome_…``, and of what was worked out ``assignments`` and ``last_assignments``.

    :param counted: figures of :func:`transforms.identity.outcome.figures`.
    """
    figures = _row(
        connection,
        """
        SELECT count(*) AS customers, median(identifiers) AS identifiers_median,
               quantile_disc(identifiers, 0.99) AS identifiers_p99,
               quantile_disc(identifiers, 0.999) AS identifiers_p999, max(identifiers) AS identifiers_largest,
               max(records) AS records_largest,
               avg(CASE WHEN deep_bridges > 0 THEN 1 ELSE 0 END) AS bridge_share, sum(links) AS links
        FROM outcome_clusters
        """,
    )
    statuses = [*counted["identifiers"].values()]
    identifiers = sum(count for of_type in statuses for count in of_type.values())
    contested = sum(of_type.get("contested", 0) for of_type in statuses)
    figures |= {
        "identifiers": identifiers,
        "contested_identifiers": contested,
        "contested_share": _share(contested, identifiers),
        "observations": counted["observations"],
        "anonymous_share": _share(counted["anonymous_observations"], counted["observations"]),
    }
    figures |= _row(
        connection,
        f"""
        SELECT {counted["anonymous_records"]} / nullif(sum(records), 0) AS anonymous_record_share
        FROM outcome_observations
        """,
    )
    last, kept = _last_sizes(connection, store)
    # Whatever was not worked out has kept its customer.
    figures |= _row(
        connection,
        f"""
        SELECT count(*) FILTER (coalesce(a.customer_id, l.customer_id) <> n.customer_id)
                   / nullif(count(*) + {kept}, 0) AS id_churn
        FROM last_assignments l JOIN assignments n USING (identity_key)
        LEFT JOIN aliases a ON a.old_customer_id = l.customer_id
        """,
    )
    figures |= {"last_customers": last, **{f"ids_{name}": count for name, count in vars(changes).items()}}
    figures["merge_rate"] = _share(changes.merged, last)
    return {
        name: None if value is None else float(value)
        for name, value in (figures | _names(connection, warehouse)).items()
    }


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _last_sizes(connection: duckdb.DuckDBPyConnection, store: IdentityStore) -> tuple[int, int]:
    """Customers of the last run, and assignments of it that this run has not looked at."""
    if not store.exists():
        return 0, 0
    [found] = connection.execute(f"""
        SELECT (SELECT count(*) FROM {rows_of(store.remembered, "customers")}),
               (SELECT count(*) FROM {rows_of(store.remembered, "assignments")}) - count(*)
        FROM last_assignments
    """).fetchall()
    return found


def _names(connection: duckdb.DuckDBPyConnection, warehouse: Path) -> dict[str, float | None]:
    """Shares of customers whose profiles disagree too much, of those who have profiles that say something."""
    connection.execute(f"ATTACH {literal(warehouse)} AS warehouse (READ_ONLY)")
    try:
        columns = {
            name
            for (name,) in connection.execute(
                "SELECT column_name FROM duckdb_columns() WHERE database_name = 'warehouse' AND schema_name = 'staging'"
                " AND table_name = 'stg_profiles'"
            ).fetchall()
        }
        asked = [
            (c, n) for c, n in (("given_name", GIVEN_NAMES), ("birth_date", 1), ("national_id", 1)) if c in columns
        ]
        if not asked:
            return {}
        # What a customer is, is looked up once for all of them.
        told = ", ".join(f"lower(trim(CAST(p.{column} AS VARCHAR))) AS {column}" for column, _ in asked)
        connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE told AS
            SELECT a.customer_id, {told}
            FROM warehouse.staging.stg_profiles p JOIN outcome_assignments a USING (identity_key)
        """)
        found: dict[str, float | None] = {}
        for column, allowed in asked:
            found |= _row(
                connection,
                f"""
                SELECT avg(CASE WHEN n > {allowed} THEN 1 ELSE 0 END) AS over_{allowed}_{column}s_share FROM (
                    SELECT customer_id, count(DISTINCT {column}) AS n FROM told
                    WHERE {column} IS NOT NULL GROUP BY customer_id
                )
                """,
            )
        return found
    finally:
        connection.execute("DETACH warehouse")


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, float | None]:
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description or ()]
    [row] = cursor.fetchall()
    return dict(zip(names, row, strict=True))


def make_quality(
    connection: duckdb.DuckDBPyConnection, figures: Mapping[str, float | None], as_of: date, run_id: str
) -> None:
    """Make ``quality``: the figures of this run beside those of other days."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE quality AS FROM last_quality WHERE as_of_date <> $as_of", {"as_of": as_of}
    )
    rows = [(as_of, name, value, run_id) for name, value in figures.items() if value is not None]
    connection.executemany("INSERT INTO quality (as_of_date, measure, value, run_id) VALUES (?, ?, ?, ?)", rows)


def judge(figures: Mapping[str, float | None], settings: Settings, is_look_back: bool) -> None:
    """Stop a run in which a component explodes.

    Rates are not judged against fewer customers than ``publication_small``, nor in a look back to an earlier day.

    :raises IdentityHeld: naming every figure beyond its bound.
    """
    bounds = {"identifiers_largest": float(settings.identity_largest_bound)}
    if (figures.get("last_customers") or 0) >= settings.publication_small and not is_look_back:
        bounds |= {"merge_rate": settings.identity_merge_bound, "id_churn": settings.identity_churn_bound}
    says = {
        "identifiers_largest": ("identifiers of the largest customer", "IDENTITY_LARGEST_BOUND"),
        "merge_rate": ("share of the last run's customers that were merged into others", "IDENTITY_MERGE_BOUND"),
        "id_churn": ("share of records that went to another customer", "IDENTITY_CHURN_BOUND"),
    }
    found = [
        f"{says[name][0]}: {figures[name]:g}, bound {bound:g}; if this is meant, run once with"
        f" WATERSHED_{says[name][1]}={figures[name]:g}"
        for name, bound in bounds.items()
        if (figures.get(name) or 0) > bound
    ]
    if found:
        raise IdentityHeld(
            "Who is who has changed too much; the identities of the last run stay, and nothing is published."
            " `watershed identity dry-run` shows who would be merged and split.\n- " + "\n- ".join(found)
        )
