"""The publication that readers have now, to be compared with the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb

from transforms.publishing.figures import Figures, count_rows, read_figures
from transforms.publishing.guard import Finding
from transforms.publishing.plan import PUBLICATION_TABLE
from transforms.publishing.records import read_record, write_record
from transforms.publishing.sql import SCHEMA, qualified
from transforms.settings import Settings
from transforms.sql import literal

_PREVIOUS = "_previous"
_PUBLISHED = "published.json"
# Columns of the publication table.
CONFIRMED = ("held_for", "confirmed_by", "confirmation_reason")


@dataclass(frozen=True)
class Previous:
    """The publication that readers have: its figures, those that it was compared with itself, and who confirmed it."""

    figures: Figures
    compared_with: Figures | None = None
    fingerprint: str | None = None
    confirmed: Mapping[str, str | None] = field(default_factory=dict)


def read_previous(connection: duckdb.DuckDBPyConnection, settings: Settings) -> Previous | Finding | None:
    """What readers have now: None if nothing is published yet, a finding if nobody can tell."""
    target = settings.published
    if not target.is_file():
        return None
    try:
        connection.execute(f"ATTACH {literal(target)} AS {_PREVIOUS} (TYPE duckdb, READ_ONLY)")
        try:
            return _read_attached(connection)
        finally:
            connection.execute(f"DETACH {_PREVIOUS}")
    except (duckdb.Error, ValueError, TypeError, KeyError) as error:
        # A client that holds the file open for writing, or has broken it, does not keep the next one from its readers.
        if remembered := _remembered(settings):
            return remembered
        reason = str(error).strip().partition("\n")[0]
        return Finding("the published file", "published", "unknown", f"it cannot be read to compare: {reason}", "")


def _read_attached(connection: duckdb.DuckDBPyConnection) -> Previous:
    publication = connection.execute(f"FROM {qualified(_PREVIOUS, SCHEMA, PUBLICATION_TABLE)}")
    names = [column[0] for column in publication.description or []]
    row = dict(zip(names, publication.fetchone() or (), strict=True))
    rows = count_rows(connection, _PREVIOUS)
    figures = read_figures(connection, _PREVIOUS, str(row["run_id"]), row["as_of_date"], rows)
    compared = row.get("previous")
    confirmed = {name: row.get(name) for name in CONFIRMED}
    return Previous(figures, Figures.from_json(compared) if compared else None, row.get("fingerprint"), confirmed)


def remember(settings: Settings, figures: Figures, compared_with: Figures | None) -> None:
    """Write down what readers have now, for the day when their file cannot be read."""
    compared = compared_with.to_json() if compared_with else None
    write_record(settings, _PUBLISHED, {"figures": figures.to_json(), "compared_with": compared})


def _remembered(settings: Settings) -> Previous | None:
    record = read_record(settings, _PUBLISHED)
    try:
        if record is None:
            return None
        compared = record["compared_with"]
        return Previous(Figures.from_json(record["figures"]), Figures.from_json(compared) if compared else None)
    except (ValueError, TypeError, KeyError):
        return None
