"""The guard at the door: what jumped since the last publication waits until a person has looked at it.

A mapping that drops half of the customers, a price in cents, a key that merges everybody: each may keep every rule of
every row, and still none of it may reach the readers unseen.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field

import duckdb

from transforms.publishing.checked import CheckedBuild
from transforms.publishing.errors import PublicationError
from transforms.publishing.figures import Figures, count_rows, read_figures
from transforms.publishing.plan import PUBLICATION_TABLE
from transforms.publishing.records import append_confirmation, read_record, remove_record, write_record
from transforms.publishing.sql import SCHEMA, qualified
from transforms.settings import Settings
from transforms.sql import literal

_PREVIOUS = "_previous"
_HELD = "held.json"
_PUBLISHED = "published.json"
# Columns of the publication table.
CONFIRMED = ("held_for", "confirmed_by", "confirmation_reason")
# A confirmation names a build by so many characters or more, so that a slip of the finger names none.
SHORTEST_NAME = 8
# Shares are quotients: what is equal to the bound on paper may differ from it in the last digit.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Finding:
    """A figure that moved by more than its bound, as texts with units."""

    figure: str
    before: str
    after: str
    change: str
    bound: str

    def __str__(self) -> str:
        limit = f", bound {self.bound}" if self.bound else ""
        return f"{self.figure} {self.before} → {self.after} ({self.change}{limit})"


@dataclass(frozen=True)
class Previous:
    """The publication that readers have: its figures, those that it was compared with itself, and who confirmed it."""

    figures: Figures
    compared_with: Figures | None = None
    fingerprint: str | None = None
    confirmed: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Confirmation:
    """A person's word that a build which was held is right: ``build`` names its run or its fingerprint."""

    build: str
    confirmed_by: str
    reason: str


@dataclass(frozen=True)
class HeldBuild:
    """The build that waits for a person, and why."""

    run_id: str
    fingerprint: str
    as_of_date: str
    previous_run_id: str
    previous: str
    findings: tuple[str, ...]
    held_at: str

    @property
    def sentence(self) -> str:
        """What jumped, from what to what, and the way out."""
        return (
            f"The publication as of {self.as_of_date} is held back because it differs from {self.previous}: "
            + "; ".join(self.findings)
            + ". Readers keep the former one. If this is right:"
            f" watershed publish --confirm {self.fingerprint[:12]} --reason '…'; if not, mend the cause and run again."
        )


class PublicationHeld(PublicationError):
    """A build that jumped too far; readers keep the publication before it until a person confirms."""

    def __init__(self, held: HeldBuild) -> None:
        self.held = held
        super().__init__(held.sentence)


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


def judge(before: Figures, after: Figures, settings: Settings, free: Collection[str] = ()) -> tuple[Finding, ...]:
    """Figures of ``after`` that moved beyond the settings' bounds; the tables ``free`` may hold what they like."""
    small = settings.publication_small
    return (
        *_customers(before, after, settings.publication_customers_bound, small),
        *_revenue(before, after, settings.publication_revenue_bound, small),
        *_segments(before, after, settings.publication_segment_bound, small),
        *_rows(before, after, settings.publication_rows_bound, small, free),
    )


def _customers(before: Figures, after: Figures, bound: float, small: int) -> Iterator[Finding]:
    if max(before.customers, after.customers) >= small:
        yield from _relative("customers", before.customers, after.customers, bound, ",")


def _revenue(before: Figures, after: Figures, bound: float, small: int) -> Iterator[Finding]:
    for currency in sorted({*before.revenue, *after.revenue} if before.revenue and after.revenue else ()):
        if max(before.buyers.get(currency, 0), after.buyers.get(currency, 0)) < small:
            continue
        amounts = [float(figures.revenue.get(currency, 0)) for figures in (before, after)]
        yield from _relative(f"net revenue {currency}".strip(), amounts[0], amounts[1], bound, ",.2f")


def _segments(before: Figures, after: Figures, bound: float, small: int) -> Iterator[Finding]:
    if not (before.segments and after.segments) or max(before.customers, after.customers) < small:
        return
    for segment in sorted({*before.segments, *after.segments}):
        old, new = (figures.segments.get(segment, 0) / max(figures.customers, 1) for figures in (before, after))
        if abs(new - old) > bound + _ROUNDING:
            name = f"segment {segment}" if segment else "customers without segment"
            points = f"{(new - old) * 100:+.1f} points"
            yield Finding(f"share of {name}", _percent(old), _percent(new), points, f"{bound * 100:g} points")


def _rows(before: Figures, after: Figures, bound: float, small: int, free: Collection[str]) -> Iterator[Finding]:
    for table in sorted(set(before.rows) - set(free)):
        old, new = before.rows[table], after.rows.get(table)
        if new is None:
            yield Finding(table, f"{old:,} rows", "no such table", "readers would miss it", "")
        elif old and not new:
            yield Finding(table, f"{old:,} rows", "0 rows", "it would be empty", "")
        # The number of customers has a bound of its own.
        elif table != "customer_360" and old and max(old, new) >= small:
            yield from _relative(f"rows of {table}", old, new, bound, ",")


def _relative(figure: str, old: float, new: float, bound: float, spec: str) -> Iterator[Finding]:
    if old == new or (old and abs(new - old) / abs(old) <= bound + _ROUNDING):
        return
    change = f"{(new - old) / abs(old) * 100:+.1f} %" if old else "there was none"
    yield Finding(figure, format(old, spec), format(new, spec), change, f"{bound * 100:g} %")


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def check_named(settings: Settings, confirmation: Confirmation) -> HeldBuild:
    """The held build that a confirmation names.

    Raises:
        PublicationError: nothing is held, the name is another build's, or the reason is missing.
    """
    if not (confirmation.reason.strip() and confirmation.confirmed_by.strip()):
        raise PublicationError("A confirmation needs a reason and the name of who confirms: --reason '…'.")
    held = read_held(settings)
    if held is None:
        raise PublicationError("No build is held back; `watershed publish` publishes what passed its checks.")
    name = confirmation.build
    if len(name) < SHORTEST_NAME or not (held.run_id.startswith(name) or held.fingerprint.startswith(name)):
        raise PublicationError(
            f"'{name}' is not the build that is held back; that is {held.fingerprint[:12]} of run {held.run_id}."
        )
    return held


def decide(
    settings: Settings,
    build: CheckedBuild,
    fingerprint: str,
    before: Previous | Finding | None,
    findings: tuple[Finding, ...],
    confirmed: HeldBuild | None,
) -> None:
    """Let a build pass, or hold it.

    Raises:
        PublicationHeld: it has findings and nobody confirmed them; the record of the held build is written.
        PublicationError: what a person confirmed is not this build, or readers have another publication by now.
    """
    previous = before.figures.run_id if isinstance(before, Previous) else ""
    if confirmed:
        if confirmed.fingerprint != fingerprint:
            raise PublicationError(
                f"The build {confirmed.fingerprint[:12]} that was held is gone: the warehouse holds"
                f" {fingerprint[:12]} of run {build.run_id} now. See what that changes: watershed publish."
            )
        if confirmed.previous_run_id != previous:
            raise PublicationError(
                f"The build {confirmed.fingerprint[:12]} was held beside another publication than readers have now."
                " See what it changes for them: watershed publish."
            )
    elif findings:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        texts = tuple(str(finding) for finding in findings)
        day = build.as_of_date.isoformat()
        held = HeldBuild(build.run_id, fingerprint, day, previous, _named(before), texts, now)
        write_record(settings, _HELD, asdict(held))
        raise PublicationHeld(held)


def _named(before: Previous | Finding | None) -> str:
    if isinstance(before, Previous):
        return f"that of run {before.figures.run_id} as of {before.figures.as_of_date}"
    return "what readers have"


def read_held(settings: Settings) -> HeldBuild | None:
    """The build that waits for a person, if one does."""
    record = read_record(settings, _HELD)
    try:
        return HeldBuild(**{**record, "findings": tuple(record["findings"])}) if record else None
    except (KeyError, TypeError):
        return None


def forget_held(settings: Settings) -> None:
    """Nothing is held any more: the readers have a later publication."""
    remove_record(settings, _HELD)


def log_confirmation(settings: Settings, held: HeldBuild, confirmation: Confirmation) -> None:
    """Write down who confirmed what and why, before readers see it."""
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    entry = {"confirmed_at": now, "confirmed_by": confirmation.confirmed_by, "reason": confirmation.reason}
    append_confirmation(settings, {**entry, **asdict(held), "findings": list(held.findings)})
