"""A published file with the columns that the report reads, small enough to check by hand."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from transforms.publishing.figures import Figures
from transforms.settings import Settings

AS_OF = dt.date(2025, 6, 30)
PREVIOUS = Figures(
    run_id="run-of-may",
    as_of_date=dt.date(2025, 5, 31),
    customers=5,
    revenue={"EUR": Decimal("1250.00")},
    segments={"Champions": 1, "Lost": 4},
    stages={"awareness": 4, "at_risk": 1},
)

_COLUMNS = {
    "customer_360": "customer_id VARCHAR, is_multi_channel BOOLEAN, purchase_days BIGINT, journey_stage VARCHAR,"
    " currency VARCHAR, net_revenue_amount DECIMAL(18, 2)",
    "segment_summary": "segment VARCHAR, currency VARCHAR, customers BIGINT, customer_share DOUBLE,"
    " net_revenue_amount DECIMAL(18, 2), revenue_share DOUBLE, mean_clv_amount DECIMAL(18, 2)",
    "customer_clv": "customer_id VARCHAR, currency VARCHAR, historic_clv_amount DECIMAL(18, 2),"
    " predicted_clv_amount DECIMAL(18, 2), horizon_days BIGINT, p_alive DOUBLE, model VARCHAR, fallback_reason VARCHAR",
    "journey_funnel": "stage VARCHAR, stage_order BIGINT, customers_now BIGINT, customers_ever BIGINT,"
    " conversion_rate DOUBLE, median_days_to_next DOUBLE",
    "channel_summary": "channel VARCHAR, touchpoints BIGINT, customers BIGINT, orders BIGINT,"
    " net_revenue_amount DECIMAL(18, 2), currency VARCHAR, return_rate DOUBLE, calls BIGINT, complaints BIGINT,"
    " service_level_rate DOUBLE, abandon_rate_offered_excl_short DOUBLE, asa_seconds DOUBLE, fcr_rate DOUBLE,"
    " mean_satisfaction_score DOUBLE",
    "load_audit": "source VARCHAR, entity VARCHAR, file VARCHAR, status VARCHAR, reason VARCHAR, rows_read BIGINT,"
    " rows_accepted BIGINT, rows_quarantined BIGINT, rows_duplicate BIGINT, last_occurred_at TIMESTAMP,"
    " loaded_at TIMESTAMP",
    "quarantine": "source VARCHAR, reasons VARCHAR",
    "publication": "run_id VARCHAR, published_at TIMESTAMP, as_of_date DATE, watershed_version VARCHAR,"
    " duckdb_version VARCHAR, storage_version VARCHAR, fingerprint VARCHAR, held_for VARCHAR, confirmed_by VARCHAR,"
    " confirmation_reason VARCHAR, tables VARCHAR, previous VARCHAR",
}
_NIGHT = "2025-07-01 03:04:05"


def _publication(**changes: Any) -> tuple[Any, ...]:
    values = {
        "run_id": "0123456789",
        "published_at": _NIGHT,
        "as_of_date": AS_OF,
        "watershed_version": "0.1.0",
        "duckdb_version": "v2.0.0",
        "storage_version": "v1.4.0",
        "fingerprint": "f" * 64,
        "held_for": None,
        "confirmed_by": None,
        "confirmation_reason": None,
        "tables": json.dumps({"customer_360": 6}),
        "previous": PREVIOUS.to_json(),
    }
    return tuple({**values, **changes}.values())


@dataclass(frozen=True)
class Company:
    """Rows of each table: six customers who pay in euros, yen or not at all, and two sources."""

    rows: Mapping[str, Iterable[tuple[Any, ...]]] = field(
        default_factory=lambda: {
            "customer_360": [
                ("c1", True, 3, "loyalty", "EUR", "1000.00"),
                ("c2", False, 1, "at_risk", "EUR", "500.00"),
                ("c3", True, 2, "dormant", "JPY", "90000"),
                ("c4", False, 0, "awareness", None, "0"),
                ("c5", False, 0, "awareness", None, "0"),
                ("c6", None, 0, "awareness", None, "0"),
            ],
            "segment_summary": [
                ("Champions", "EUR", 1, 1 / 6, "900.00", 1.125, "1000.00"),
                ("Lost", "EUR", 1, 1 / 6, "-100.00", -0.125, "500.00"),
                ("Champions", "JPY", 1, 1 / 6, "80000", 1.0, "90000"),
                ("No Purchase", None, 3, 3 / 6, "0", None, None),
            ],
            "customer_clv": [
                ("c1", "EUR", "1000.00", "200.00", 365, 0.9, "bg_nbd", None),
                ("c2", "EUR", "500.00", "50.50", 365, 0.1, "bg_nbd", None),
                ("c3", "JPY", "90000", None, None, None, "historic", "too few buyers"),
            ],
            "journey_funnel": [
                ("awareness", 1, 3, 6, 0.5, 7.5),
                ("loyalty", 5, 1, 1, None, None),
                ("at_risk", 7, 1, 2, 0.25, 40.0),
                ("dormant", 8, 1, 1, 0.0, None),
            ],
            "channel_summary": [
                ("store", 1234, 5, 7, "1500.00", "EUR", 0.125, 0, None, None, None, None, None, None),
                ("hotline", 40, 3, 0, "0", None, None, 40, 4, 0.82, 0.05, 12.4, 0.891, 4.04),
            ],
            "load_audit": [
                ("pos_sales", "transactions", "a.csv", "loaded", None, 100, 90, 6, 4, "2025-06-30 20:00:00", _NIGHT),
                ("pos_sales", "transactions", "b.csv", "rejected", "empty: no row", 0, 0, 0, 0, None, _NIGHT),
                ("surveys", "surveys", "s.csv", "loaded", None, 10, 10, 0, 0, "2025-06-27 01:00:00", _NIGHT),
            ],
            "quarantine": [("pos_sales", "type:qty; enum:kind")] * 4 + [("pos_sales", "strange")] * 2,
            "publication": [_publication()],
        }
    )

    def having(self, **tables: Iterable[tuple[Any, ...]]) -> Company:
        """The same company with other rows in some tables."""
        return replace(self, rows={**self.rows, **tables})

    def published(self, **values: Any) -> Company:
        """The same company with another publication row."""
        return self.having(publication=[_publication(**values)])


def settings_with(home: Path, company: Company, **changes: Any) -> Settings:
    """Settings of a home whose published file holds ``company``."""
    settings = Settings(home=home, **changes)
    settings.published.parent.mkdir(parents=True, exist_ok=True)
    settings.published.unlink(missing_ok=True)
    with duckdb.connect(settings.published) as connection:
        connection.execute("CREATE SCHEMA marts")
        for table, columns in _COLUMNS.items():
            connection.execute(f"CREATE TABLE marts.{table} ({columns})")
            for row in company.rows.get(table, ()):
                connection.execute(f"INSERT INTO marts.{table} VALUES ({', '.join('?' for _ in row)})", list(row))
    return settings
