"""What the published file says, in a few figures: for the end of a run and for tests."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from transforms.publishing.verify import verify_published

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Overview:
    """Figures of one publication.

    ``sources``: source, files, read, accepted, quarantined, duplicate. ``segments``: segment, customers, share,
    net revenue, its share, currency. ``funnel``: stage, customers now, customers ever, conversion to the next stage,
    median days to it. ``channels``: channel, touchpoints, customers.
    """

    as_of: dt.date
    customers: int
    sources: Rows
    segments: Rows
    funnel: Rows
    channels: Rows


def read_overview(path: Path) -> Overview:
    """Read the figures from a published file.

    Raises:
        PublicationError: the file is missing or not a publication.
    """
    info = verify_published(path)
    with duckdb.connect(str(path), read_only=True) as connection:

        def rows(sql: str) -> Rows:
            return connection.execute(sql).fetchall()

        return Overview(
            as_of=info.as_of_date,
            customers=info.tables["customer_360"],
            sources=rows(
                "SELECT source, count(*), sum(rows_read), sum(rows_accepted), sum(rows_quarantined),"
                " sum(rows_duplicate) FROM marts.load_audit GROUP BY source ORDER BY source"
            ),
            segments=rows(
                "SELECT segment, customers, customer_share, net_revenue_amount, revenue_share, currency"
                " FROM marts.segment_summary ORDER BY customers DESC, segment"
            ),
            funnel=rows(
                "SELECT stage, customers_now, customers_ever, conversion_rate, median_days_to_next"
                " FROM marts.journey_funnel ORDER BY stage_order"
            ),
            channels=rows(
                "SELECT channel, touchpoints, customers FROM marts.channel_summary ORDER BY touchpoints DESC"
            ),
        )


def run_query(path: Path, sql: str) -> tuple[list[str], Rows]:
    """Column names and rows of a query on the published file."""
    with duckdb.connect(str(path), read_only=True) as connection:
        cursor = connection.execute(sql)
        return [column[0] for column in cursor.description or []], cursor.fetchall()
