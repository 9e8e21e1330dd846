"""When a file's content holds: since the file came, or since the moment that its name tells."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

import duckdb

from transforms.contracts import SourceContract
from transforms.lake.landing import LandedFile
from transforms.settings import Settings
from transforms.sql import scratch_connection


def declared_moments(
    settings: Settings, contract: SourceContract, received: Iterable[LandedFile]
) -> dict[str, dt.datetime | None]:
    """Moments (UTC) that file names tell, by name; None for a name that tells none. Empty where no contract asks.

    Months of snapshots that land at once would all hold since that day; their names know better.
    """
    if contract.delivered_at is None:
        return {}
    names = list(dict.fromkeys(file.name for file in received))
    with scratch_connection(settings) as connection:
        return {name: _moment(connection, contract.delivered_at, name) for name in names}


def _moment(connection: duckdb.DuckDBPyConnection, expression: str, name: str) -> dt.datetime | None:
    try:
        told = connection.execute(f"SELECT ({expression}\n) FROM (SELECT $name AS _file)", {"name": name}).fetchone()
        found = told[0] if told else None
        if isinstance(found, str):
            found = dt.datetime.fromisoformat(found)
    except (duckdb.Error, ValueError):
        return None
    if isinstance(found, dt.datetime):
        return found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=dt.UTC)
    if isinstance(found, dt.date):
        # Noon in Greenwich is the same day almost everywhere.
        return dt.datetime.combine(found, dt.time(12), dt.UTC)
    return None


def arrived_at(file: LandedFile, declared: Mapping[str, dt.datetime | None]) -> dt.datetime | None:
    """Moment since which a file's content holds; None where its name ought to tell it and does not."""
    return declared.get(file.name, file.received_at)


def in_order(received: list[LandedFile], declared: Mapping[str, dt.datetime | None]) -> tuple[list[LandedFile], int]:
    """Files in the order in which they count, and how many of them came after a later one."""
    if not declared:
        return received, 0
    late, newest = 0, dt.datetime.min.replace(tzinfo=dt.UTC)
    moments = [arrived_at(file, declared) or file.received_at for file in received]
    for moment in moments:
        late += moment < newest
        newest = max(newest, moment)
    order = sorted(range(len(received)), key=lambda index: (moments[index], index))
    return [received[index] for index in order], late
