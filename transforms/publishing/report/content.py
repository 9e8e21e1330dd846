"""What the report says, read from the published file."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from transforms.publishing.errors import PublicationError
from transforms.publishing.figures import Figures
from transforms.sql import literal

Row = TypeVar("Row")
_MOST_REASONS = 10
_MOST_FILES = 20


@dataclass(frozen=True)
class Publication:
    """The row of the publication table."""

    run_id: str
    published_at: dt.datetime
    as_of_date: dt.date
    watershed_version: str
    duckdb_version: str
    storage_version: str
    fingerprint: str
    held_for: str | None
    confirmed_by: str | None
    confirmation_reason: str | None
    tables: dict[str, int]
    previous: Figures | None


@dataclass(frozen=True)
class Segment:
    """A segment in one currency (None: customers without any); shares are 0–1."""

    name: str
    currency: str | None
    customers: int
    customer_share: float
    net_revenue: Decimal
    revenue_share: float | None
    mean_clv: Decimal | None


@dataclass(frozen=True)
class Value:
    """Buyers of one currency: what they brought, what they are expected to bring, and how unequally."""

    currency: str | None
    buyers: int
    historic: Decimal
    predicted: Decimal | None
    horizon_days: int | None
    mean_p_alive: float | None
    models: str
    fallback_reason: str | None
    tenths: tuple[float, ...]


@dataclass(frozen=True)
class Stage:
    """A stage of the journey; ``median_days`` are those from first entering it to going on."""

    name: str
    order: int
    now: int
    ever: int
    conversion_rate: float | None
    median_days: float | None


@dataclass(frozen=True)
class Channel:
    """A channel and what it carries; the service figures are None but for the hotline."""

    name: str
    touchpoints: int
    customers: int
    orders: int
    net_revenue: Decimal | None
    currency: str | None
    return_rate: float | None
    calls: int
    complaints: int | None
    service_level_rate: float | None
    abandon_rate: float | None
    asa_seconds: float | None
    fcr_rate: float | None
    satisfaction: float | None


@dataclass(frozen=True)
class Source:
    """A source's row account and how new its data are."""

    name: str
    entity: str
    files: int
    read: int
    accepted: int
    quarantined: int
    duplicate: int
    files_refused: int
    newest: dt.datetime | None
    loaded_at: dt.datetime


@dataclass(frozen=True)
class Reason:
    """Records that wait in quarantine for the same reasons."""

    source: str
    reasons: str
    rows: int


@dataclass(frozen=True)
class RefusedFile:
    """A file that was refused or held as a whole."""

    source: str
    file: str
    status: str
    reason: str | None


@dataclass(frozen=True)
class Report:
    """Everything that the page shows."""

    publication: Publication
    customers: int
    multi_channel: int
    buyers: int
    segments: tuple[Segment, ...]
    values: tuple[Value, ...]
    stages: tuple[Stage, ...]
    leaving_revenue: tuple[tuple[str | None, Decimal], ...]
    channels: tuple[Channel, ...]
    sources: tuple[Source, ...]
    reasons: tuple[Reason, ...]
    other_reasons: int
    refused: tuple[RefusedFile, ...]
    other_refused: int


def read_report(path: Path) -> Report:
    """Read what the page shows from a published file.

    Raises:
        PublicationError: the file is missing, or is no publication of this version.
    """
    with open_published(path) as connection:
        return _read(connection)


@contextlib.contextmanager
def open_published(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that sees the marts of a published file by their names.

    Raises:
        PublicationError: the file is missing, or what is asked of it is not there.
    """
    if not path.is_file():
        raise PublicationError(f"Nothing is published at {path} yet: run the daily job, or publish.")
    # In memory plus ATTACH: duckdb.connect(path) would hand out the former file for as long as any connection of this
    # process still has it open.
    with duckdb.connect(":memory:") as connection:
        try:
            connection.execute(f"ATTACH {literal(path)} AS published (TYPE duckdb, READ_ONLY)")
            connection.execute("USE published.marts")
            yield connection
        except duckdb.Error as error:
            raise PublicationError(f"{path} holds no publication of this version: {error}") from error


def _read(connection: duckdb.DuckDBPyConnection) -> Report:
    def rows(kind: Callable[..., Row], sql: str) -> tuple[Row, ...]:
        return tuple(kind(*row) for row in connection.execute(sql).fetchall())

    def numbers(sql: str) -> tuple[Any, ...]:
        return connection.execute(sql).fetchone() or ()

    customers, multi_channel, buyers = numbers(
        "SELECT count(*), count(*) FILTER (is_multi_channel), count(*) FILTER (purchase_days > 0) FROM customer_360"
    )
    reasons = rows(
        Reason, "SELECT source, reasons, count(*) FROM quarantine GROUP BY source, reasons ORDER BY 3 DESC, 1, 2"
    )
    refused = rows(
        RefusedFile,
        "SELECT source, file, status, reason FROM load_audit WHERE status IN ('rejected', 'held')"
        " ORDER BY loaded_at DESC, source, file",
    )
    return Report(
        publication=read_publication_row(connection),
        customers=customers,
        multi_channel=multi_channel,
        buyers=buyers,
        segments=rows(
            Segment,
            "SELECT segment, currency, customers, customer_share, net_revenue_amount, revenue_share, mean_clv_amount"
            " FROM segment_summary ORDER BY currency NULLS LAST, net_revenue_amount DESC, customers DESC, segment",
        ),
        values=_values(connection),
        stages=rows(
            Stage,
            "SELECT stage, stage_order, customers_now, customers_ever, conversion_rate, median_days_to_next"
            " FROM journey_funnel ORDER BY stage_order",
        ),
        leaving_revenue=tuple(
            connection.execute(
                "SELECT currency, sum(net_revenue_amount) FROM customer_360"
                " WHERE journey_stage IN ('at_risk', 'dormant') GROUP BY currency HAVING sum(net_revenue_amount) <> 0"
                " ORDER BY 2 DESC, 1"
            ).fetchall()
        ),
        channels=rows(
            Channel,
            "SELECT channel, touchpoints, customers, orders, net_revenue_amount, currency, return_rate, calls,"
            " complaints, service_level_rate, abandon_rate_offered_excl_short, asa_seconds, fcr_rate,"
            " mean_satisfaction_score FROM channel_summary ORDER BY touchpoints DESC, channel",
        ),
        sources=rows(
            Source,
            "SELECT source, any_value(entity), count(*), sum(rows_read)::BIGINT, sum(rows_accepted)::BIGINT,"
            " sum(rows_quarantined)::BIGINT, sum(rows_duplicate)::BIGINT,"
            " count(*) FILTER (status IN ('rejected', 'held')), max(last_occurred_at), max(loaded_at)"
            " FROM load_audit GROUP BY source ORDER BY source",
        ),
        reasons=reasons[:_MOST_REASONS],
        other_reasons=sum(reason.rows for reason in reasons[_MOST_REASONS:]),
        refused=refused[:_MOST_FILES],
        other_refused=len(refused[_MOST_FILES:]),
    )


def read_publication_row(connection: duckdb.DuckDBPyConnection) -> Publication:
    """The row of the publication table.

    Raises:
        PublicationError: it has none.
    """
    row = connection.execute(
        "SELECT run_id, published_at, as_of_date, watershed_version, duckdb_version, storage_version, fingerprint,"
        " held_for, confirmed_by, confirmation_reason, tables, previous FROM publication"
    ).fetchone()
    if row is None:
        raise PublicationError("The published file has an empty publication table: publish again.")
    *fields, tables, previous = row
    compared = Figures.from_json(previous) if previous else None
    return Publication(*fields, tables=json.loads(tables), previous=compared)


def _values(connection: duckdb.DuckDBPyConnection) -> tuple[Value, ...]:
    """Value of the buyers by currency, most buyers first."""
    # Tenths of the buyers of a currency, the best first; ties by id, so that the page is the same each time.
    tenths: dict[str | None, list[float]] = {}
    for currency, _, share in connection.execute(
        """
        WITH ranked AS (
            SELECT currency, historic_clv_amount AS amount,
                   ntile(10) OVER (PARTITION BY currency ORDER BY historic_clv_amount DESC, customer_id) AS tenth
            FROM customer_clv
        ), summed AS (
            SELECT currency, tenth, sum(amount) AS amount FROM ranked GROUP BY currency, tenth
        )
        SELECT currency, tenth, coalesce(amount / nullif(sum(amount) OVER (PARTITION BY currency), 0), 0)::DOUBLE
        FROM summed ORDER BY currency, tenth
        """
    ).fetchall():
        tenths.setdefault(currency, []).append(share)
    found = connection.execute(
        "SELECT currency, count(*), sum(historic_clv_amount), sum(predicted_clv_amount), max(horizon_days),"
        " avg(p_alive), string_agg(DISTINCT model, ', ' ORDER BY model), any_value(fallback_reason)"
        " FROM customer_clv GROUP BY currency ORDER BY 2 DESC, 1"
    ).fetchall()
    return tuple(Value(*row, tenths=tuple(tenths[row[0]])) for row in found)
