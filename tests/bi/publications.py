"""One publication after the other, from a warehouse that changes in between."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from tests.transforms.publishing.toy import build_of, settings_of
from transforms.publishing import publish, read_plan
from transforms.sql import identifier


@dataclass(frozen=True)
class Truth:
    """What readers of a publication must find, read from the warehouse before it was published."""

    run_id: str
    as_of: dt.date
    customers: int
    revenue: Decimal
    first_seen: dt.datetime

    def answer(self) -> dict[str, Any]:
        """The same, as clients tell it."""
        return {
            "run_id": self.run_id,
            "as_of": self.as_of.isoformat(),
            "customers": self.customers,
            "revenue": str(self.revenue),
            "first_seen": self.first_seen.isoformat(sep=" ", timespec="seconds"),
        }


# One row, so that whatever a client mixes up shows within one answer.
QUESTION = (
    "SELECT p.run_id, p.as_of_date AS as_of, count(*) AS customers, sum(c.net_revenue_amount) AS revenue,"
    " date_trunc('second', min(c.first_seen_at)) AS first_seen"
    " FROM marts.publication AS p JOIN marts.customer_360 AS c ON c.as_of_date = p.as_of_date"
    " GROUP BY p.run_id, p.as_of_date"
)


@dataclass
class Publisher:
    """A home whose warehouse changes by a day, a customer and some revenue with each publication."""

    home: Path
    may_leave: Any
    published: list[Truth] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return settings_of(self.home).published

    def comment(self, table: str, column: str) -> str:
        """The description of a column that readers must find as its comment."""
        planned = {entry.name: entry for entry in self._plan().tables}[table]
        return next(entry.description for entry in planned.columns if entry.name == column)

    def publish(self) -> Truth:
        """Change the warehouse and publish it."""
        number = len(self.published) + 1
        with duckdb.connect(self.home / "warehouse.duckdb") as warehouse:
            for (table,) in warehouse.execute(
                "SELECT table_name FROM duckdb_columns() WHERE schema_name = 'marts' AND column_name = 'as_of_date'"
            ).fetchall():
                warehouse.execute(f"UPDATE marts.{identifier(table)} SET as_of_date = as_of_date + 1")
            warehouse.execute(
                "INSERT INTO marts.customer_360 SELECT * REPLACE (? AS customer_id, ?::DECIMAL(18, 2) AS"
                " net_revenue_amount) FROM marts.customer_360 ORDER BY customer_id LIMIT 1",
                [f"C{number:016x}", Decimal(number) + Decimal("0.01")],
            )
            row = warehouse.execute(
                "SELECT max(as_of_date), count(*), sum(net_revenue_amount), date_trunc('second', min(first_seen_at))"
                " FROM marts.customer_360"
            ).fetchone()
        assert row
        truth = Truth(f"run-{number}", *row)
        publish(settings_of(self.home), self._plan(), build_of(self.home, truth.run_id, truth.as_of), "0.1.0")
        self.published.append(truth)
        return truth

    def _plan(self) -> Any:
        return read_plan(self.home / "dbt" / "manifest.json", self.may_leave)


def copy_home(home: Path, target: Path) -> None:
    """Copy what a publication needs of a home that a run has left."""
    (target / "dbt").mkdir(parents=True)
    shutil.copyfile(home / "warehouse.duckdb", target / "warehouse.duckdb")
    shutil.copyfile(home / "dbt" / "manifest.json", target / "dbt" / "manifest.json")
