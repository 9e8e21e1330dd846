"""Whether the yardstick and Watershed have made the same marts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from transforms.sql import literal, scalars

# How far figures may be apart that depend on who is whom: the script knows no numbers that changed hands, no limits per
# customer and no bounds on how long a value may rest.
IDENTITY = 0.05
_FEW = 10  # so many more or fewer prove nothing


@dataclass(frozen=True)
class Total:
    """A figure that both must give, and the share by which they may be apart."""

    name: str
    query: str
    tolerance: float = IDENTITY


_BY_IDENTITY = (
    "customer_360",
    "customer_timeline",
    "customer_identifiers",
    "customer_journey",
    "customer_journey_history",
    "journey_transitions",
    "customer_rfm",
    "customer_clv",
    "segment_history",
    "churn_risk",
    "survival_second_purchase",
    "rfm_migration",
)
_BY_CALENDAR = (
    "rfm_cut_points",
    "segment_summary",
    "journey_funnel",
    "channel_summary",
    "cohort_retention",
    "repurchase_rates",
    "calendar",
)
_SUMS = (
    # Whose an order is moves no revenue of its channel; only what is nobody's counts by sessions.
    Total("channel_summary: orders", "SELECT sum(orders) FROM marts.channel_summary", 0),
    Total("channel_summary: net revenue", "SELECT sum(net_revenue_amount) FROM marts.channel_summary", 0),
    Total("channel_summary: returned orders", "SELECT sum(returned_orders) FROM marts.channel_summary", 0),
    # Pings of a device that two people carried are two visits only to whom can tell the two apart.
    Total("channel_summary: visits", "SELECT sum(visits) FROM marts.channel_summary", 0.001),
    Total("channel_summary: events", "SELECT sum(events) FROM marts.channel_summary", 0),
    Total("channel_summary: calls", "SELECT sum(calls) FROM marts.channel_summary", 0),
    Total("channel_summary: sessions", "SELECT sum(sessions) FROM marts.channel_summary", 0.005),
    Total("customer_360: net revenue", "SELECT sum(net_revenue_amount) FROM marts.customer_360", 0.02),
    Total("customer_360: orders", "SELECT sum(orders) FROM marts.customer_360", 0.02),
    Total("customer_360: touchpoints", "SELECT sum(touchpoints) FROM marts.customer_360", 0.02),
    Total("customer_360: identifiers", "SELECT sum(identifiers) FROM marts.customer_360"),
    Total("customer_clv: historic", "SELECT sum(historic_clv_amount) FROM marts.customer_clv", 0.02),
    Total("customer_clv: predicted", "SELECT sum(predicted_clv_amount) FROM marts.customer_clv"),
    Total("customer_journey_history: days", "SELECT sum(duration_days) FROM marts.customer_journey_history"),
    # One customer who is taken for two, or two for one, is counted in many months.
    Total("cohort_retention: active", "SELECT sum(active_customers) FROM marts.cohort_retention", 0.08),
    Total("repurchase_rates: buyers", "SELECT sum(buyers) FROM marts.repurchase_rates"),
    Total("rfm_migration: customers", "SELECT sum(customers) FROM marts.rfm_migration"),
)
TOTALS = (
    *(Total(f"{table}: rows", f"SELECT count(*) FROM marts.{table}") for table in _BY_IDENTITY),
    *(Total(f"{table}: rows", f"SELECT count(*) FROM marts.{table}", 0) for table in _BY_CALENDAR),
    *_SUMS,
)
# One figure for each member of a small set.
_GROUPS = {
    "segment_summary: customers": "SELECT segment, customers FROM marts.segment_summary",
    "journey_funnel: customers now": "SELECT stage, customers_now FROM marts.journey_funnel",
    "customer_identifiers: rows": "SELECT identifier_type, count(*) FROM marts.customer_identifiers GROUP BY ALL",
    "channel_summary: customers": "SELECT channel, customers FROM marts.channel_summary",
}
_GROUP_TOLERANCE = 0.1


@dataclass(frozen=True)
class Compared:
    """A figure of both, and how far they may be apart."""

    name: str
    yardstick: float
    product: float
    tolerance: float

    @property
    def is_apart(self) -> bool:
        """Beyond the tolerance; where one is expected, a handful does not count."""
        distance = abs(self.yardstick - self.product)
        return distance > self.tolerance * abs(self.product) and (distance > _FEW or not self.tolerance)

    def __str__(self) -> str:
        sides = f"yardstick {self.yardstick:,.2f}, Watershed {self.product:,.2f}"
        return f"{self.name}: {sides}, may be {self.tolerance:.1%} apart"


def compare(yardstick: Path, published: Path) -> list[Compared]:
    """All figures, of the script's database and of the published file."""
    with _open(yardstick) as ours, _open(published) as theirs:
        found = [
            Compared(total.name, _number(ours, total.query), _number(theirs, total.query), total.tolerance)
            for total in TOTALS
        ]
        for name, query in _GROUPS.items():
            left, right = (dict(side.execute(query).fetchall()) for side in (ours, theirs))
            found += [
                Compared(f"{name}, {member}", left.get(member, 0), right.get(member, 0), _GROUP_TOLERANCE)
                for member in sorted(left.keys() | right.keys())
            ]
    return found


def rows_apart(yardstick: Path, published: Path) -> dict[str, int]:
    """For each mart of the yardstick, how many rows only one of the two has; columns that both have, fractions to six
    digits."""
    with duckdb.connect() as connection:
        for name, file in (("ours", yardstick), ("theirs", published)):
            connection.execute(f"ATTACH {literal(file)} AS {name} (READ_ONLY)")
        tables = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'ours' AND schema_name = 'marts' ORDER BY ALL"
        ).fetchall()
        return {table: _rows_apart(connection, table) for (table,) in tables}


def _rows_apart(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    columns = connection.execute(
        "SELECT column_name, any_value(data_type) FILTER (database_name = 'theirs'), bool_or(data_type = 'DOUBLE')"
        " FROM duckdb_columns() WHERE schema_name = 'marts' AND table_name = ?"
        " GROUP BY column_name HAVING count(*) = 2",
        [table],
    ).fetchall()
    values = ", ".join(
        f"round(CAST({name} AS DOUBLE), 6)" if is_fraction else f"CAST({name} AS {kind})"
        for name, kind, is_fraction in columns
    )
    sides = [f"SELECT {values} FROM {name}.marts.{table}" for name in ("ours", "theirs")]
    only = [f"(SELECT count(*) FROM ({one} EXCEPT ALL {other}))" for one, other in (sides, sides[::-1])]
    return scalars(connection, f"SELECT {' + '.join(only)}")[0]


def _open(file: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(file), read_only=True)


def _number(connection: duckdb.DuckDBPyConnection, query: str) -> float:
    return float(scalars(connection, query)[0] or 0)
