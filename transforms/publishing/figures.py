"""The few figures by which two publications are compared."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

import duckdb

from transforms.publishing.plan import PUBLICATION_TABLE
from transforms.publishing.sql import SCHEMA, qualified
from transforms.sql import identifier

_CUSTOMERS = "customer_360"


@dataclass(frozen=True)
class Figures:
    """Figures of one build.

    ``revenue`` is net revenue by currency, ``segments`` and ``stages`` are numbers of customers, ``rows`` those of
    each table. A figure whose column the customer table does not have is empty.
    """

    run_id: str
    as_of_date: dt.date
    customers: int
    revenue: dict[str, Decimal] = field(default_factory=dict)
    buyers: dict[str, int] = field(default_factory=dict)
    segments: dict[str, int] = field(default_factory=dict)
    stages: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> str:
        """As text, for the publication table."""
        return json.dumps(asdict(self), default=str, sort_keys=True, ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> Figures:
        """Figures from ``to_json``."""
        found: dict[str, Any] = json.loads(text)
        found["as_of_date"] = dt.date.fromisoformat(found["as_of_date"])
        found["revenue"] = {name: Decimal(amount) for name, amount in found["revenue"].items()}
        return Figures(**found)


def read_figures(
    connection: duckdb.DuckDBPyConnection, catalog: str, run_id: str, as_of: dt.date, rows: dict[str, int]
) -> Figures:
    """Figures of the attached file ``catalog``, whose tables hold ``rows``."""
    columns = {
        name
        for (name,) in connection.execute(
            "SELECT lower(column_name) FROM duckdb_columns() WHERE database_name = ? AND schema_name = ?"
            " AND table_name = ?",
            [catalog, SCHEMA, _CUSTOMERS],
        ).fetchall()
    }
    customers = qualified(catalog, SCHEMA, _CUSTOMERS)
    currency = "coalesce(currency, '')" if "currency" in columns else "''"

    def grouped(key: str, value: str) -> dict[str, Any]:
        return dict(connection.execute(f"SELECT {key}, {value} FROM {customers} GROUP BY ALL ORDER BY ALL").fetchall())

    def sizes(column: str) -> dict[str, int]:
        return grouped(f"coalesce({identifier(column)}, '')", "count(*)") if column in columns else {}

    has_revenue = "net_revenue_amount" in columns
    amount = "coalesce(sum(net_revenue_amount), 0)::DECIMAL(38, 2)"
    return Figures(
        run_id=run_id,
        as_of_date=as_of,
        customers=rows.get(_CUSTOMERS, 0),
        revenue=grouped(currency, amount) if has_revenue else {},
        buyers=grouped(currency, "count(*) FILTER (net_revenue_amount <> 0)") if has_revenue else {},
        segments=sizes("segment"),
        stages=sizes("journey_stage"),
        rows=rows,
    )


def count_rows(connection: duckdb.DuckDBPyConnection, catalog: str) -> dict[str, int]:
    """Rows of each table of the attached file ``catalog``, the publication table left out."""
    names = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = ?"
        " AND table_name <> ? ORDER BY table_name",
        [catalog, SCHEMA, PUBLICATION_TABLE],
    ).fetchall()
    counts: dict[str, int] = {}
    for (name,) in names:
        row = connection.execute(f"SELECT count(*) FROM {qualified(catalog, SCHEMA, name)}").fetchone()
        counts[name] = row[0] if row else 0
    return counts
