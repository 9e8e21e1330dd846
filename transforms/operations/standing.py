"""Where the sources and the readers' file stand, read from what the last runs left behind."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from transforms.contracts import Contracts, SourceContract
from transforms.lake.checks import is_fresh
from transforms.lake.generations import shown
from transforms.lake.landing import received_files
from transforms.lake.load import LoadReport
from transforms.lake.records import RECORD, FileRecord, read_records
from transforms.publishing import PublicationError, PublicationInfo, verify_published
from transforms.settings import Settings
from transforms.sources import location

# A load may exchange the generation that is being read, and remove the former one.
_LOOKS = 3


@dataclass(frozen=True)
class SourceStanding:
    """A source: freshness against its agreement (hours), and its row account over all files.

    ``rows_held`` are those of the quarantined rows that wait because their whole file is held.
    """

    source: str
    entity: str
    location: str
    files: int
    newest_arrival: dt.datetime | None
    newest_record: dt.datetime | None
    age_hours: float | None
    agreed_hours: float | None
    is_fresh: bool
    freshness: str
    rows_read: int
    rows_accepted: int
    rows_quarantined: int
    rows_duplicate: int
    rows_held: int
    balances: bool
    held: dict[str, str]
    refused: dict[str, str]

    @property
    def complaints(self) -> list[str]:
        """What needs somebody's attention, one sentence each."""
        found = []
        if not self.is_fresh:
            found.append(f"{self.source} is {self.freshness}")
        if not self.balances:
            found.append(f"{self.source}: rows are not accounted for; report this as a fault of Watershed")
        for file, reason in self.held.items():
            remedy = f"watershed quarantine release {self.source} --file '{file}' --reason '…'"
            found.append(f"{self.source}: {file} is {reason}: {remedy}")
        for file, reason in self.refused.items():
            found.append(f"{self.source}: {file} was refused, {reason}; have it delivered again")
        return found


def source_standings(settings: Settings, contracts: Contracts, now: dt.datetime) -> list[SourceStanding]:
    """Every source of the contracts, by name; ``now`` is an aware moment."""
    return [_standing(settings, contract, now) for _, contract in sorted(contracts.sources.items())]


def _standing(settings: Settings, contract: SourceContract, now: dt.datetime) -> SourceStanding:
    records = _records(settings, contract)
    newest = max((file.received_at for file in received_files(settings, contract.name)), default=None)
    report = LoadReport(
        source=contract.name,
        entity=contract.entity.name,
        location=location(contract, settings),
        files_found=0,
        loaded=(),
        records=records,
        reasons={},
        elapsed_seconds=0,
        newest_arrival=newest,
    )
    fresh, freshness = is_fresh(report, contract.freshness, now)
    return SourceStanding(
        source=contract.name,
        entity=contract.entity.name,
        location=report.location,
        files=len(records),
        newest_arrival=newest,
        newest_record=max((r.last_occurred_at for r in records if r.last_occurred_at), default=None),
        age_hours=_hours(now - newest) if newest else None,
        agreed_hours=_hours(contract.freshness) if contract.freshness else None,
        is_fresh=fresh,
        freshness=freshness,
        rows_read=report.total("rows_read"),
        rows_accepted=report.total("rows_accepted"),
        rows_quarantined=report.total("rows_quarantined"),
        rows_duplicate=report.total("rows_duplicate"),
        rows_held=sum(record.rows_quarantined for record in records if record.status == "held"),
        balances=report.balances,
        held={record.file: record.reason or "" for record in report.held},
        refused={record.file: record.reason or "" for record in report.rejected},
    )


def _records(settings: Settings, contract: SourceContract) -> tuple[FileRecord, ...]:
    """Records of the generation that readers see, in the order in which the files were gated."""
    for look in range(_LOOKS):
        folder = shown(settings, contract)
        try:
            batches = [path for path in folder.iterdir() if (path / RECORD).exists()] if folder else []
            return tuple(sorted(read_records(batches), key=lambda record: (record.loaded_at, record.batch_id)))
        except FileNotFoundError:
            if look == _LOOKS - 1:
                raise
    return ()


def _hours(span: dt.timedelta) -> float:
    return round(span.total_seconds() / 3600, 1)


def publication_standing(path: Path) -> tuple[PublicationInfo | None, str]:
    """What the readers' file says of itself, or None and why it says nothing."""
    try:
        return verify_published(path), ""
    except PublicationError as error:
        return None, str(error)
