"""A source's new files through the gate into the lake."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from transforms.contracts import SourceContract
from transforms.lake.gate import GateResult, gate_file
from transforms.lake.keys import KnownKeys
from transforms.lake.landing import LandedFile, land, last_state, received_files
from transforms.lake.records import (
    FileRecord,
    batch_id,
    commit_batch,
    ensure_empty_batch,
    read_record,
    source_folder,
    write_record,
)
from transforms.settings import Settings
from transforms.sources import deliveries, location
from transforms.sources.delivery import UnreadableError
from transforms.sql import scratch_connection

Clock = Callable[[], dt.datetime]
Progress = Callable[[str], None]


def utc_now() -> dt.datetime:
    """The clock of the load, with zone."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class LoadReport:
    """What one load of a source did, and where the source stands as a whole."""

    source: str
    entity: str
    location: str
    files_found: int
    loaded: tuple[FileRecord, ...]
    records: tuple[FileRecord, ...]
    reasons: dict[str, int]
    new_columns: dict[str, str]
    absent_columns: dict[str, str]
    elapsed_seconds: float
    newest_arrival: dt.datetime | None = None
    unreadable: dict[str, str] = field(default_factory=dict)

    def total(self, column: str, fresh: bool = False) -> int:
        """Sum of a row count over all files of the source, or over those of this load."""
        return sum(getattr(record, column) for record in (self.loaded if fresh else self.records))

    @property
    def rejected(self) -> tuple[FileRecord, ...]:
        """Files that were refused as a whole and have not come again since, mended or complete."""
        last = {record.file: record for record in self.records}
        return tuple(record for record in last.values() if record.status == "rejected")

    @property
    def quarantine_rate(self) -> float:
        """Share of the rows that are in quarantine, over all files of the source."""
        return self._quarantine_rate(fresh=False)

    @property
    def worst_quarantine_rate(self) -> float:
        """The higher of the rates over all files and over those of this load: a long history hides no bad day."""
        return max(self._quarantine_rate(fresh=False), self._quarantine_rate(fresh=True))

    def _quarantine_rate(self, fresh: bool) -> float:
        read = self.total("rows_read", fresh)
        return self.total("rows_quarantined", fresh) / read if read else 0.0

    @property
    def balances(self) -> bool:
        """Whether read = accepted + quarantined + duplicate holds for each file."""
        return all(record.balances for record in self.records)


@dataclass
class _Findings:
    loaded: list[FileRecord] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    new_columns: dict[str, str] = field(default_factory=dict)
    absent_columns: dict[str, str] = field(default_factory=dict)

    def add(self, result: GateResult) -> None:
        self.loaded.append(result.record)
        self.reasons.update(result.reasons)
        for column in result.new_columns:
            self.new_columns.setdefault(column, result.record.file)
        for column in result.absent_columns:
            self.absent_columns.setdefault(column, result.record.file)


def load_source(
    settings: Settings, contract: SourceContract, clock: Clock = utc_now, progress: Progress | None = None
) -> LoadReport:
    """Land a source's new files and pass each through the gate, in order of arrival.

    Files already loaded under the same contract cost nothing. After a change of the contract every landed file is
    gated anew; the batches of the old contract go when the new ones are in place.
    """
    started = time.monotonic()
    say = progress or (lambda _: None)
    ensure_empty_batch(settings, contract.entity)
    unreadable: dict[str, str] = {}
    state = last_state(received_files(settings, contract.name))
    try:
        found = deliveries(contract, settings, state, clock())
    except UnreadableError as error:
        found = []
        unreadable[location(contract, settings)] = str(error)
    received = land(settings, contract.name, found, clock, unreadable)
    folder = source_folder(settings, contract)
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    wanted: dict[str, LandedFile] = {}
    for file in received:
        # A file that comes again with the same bytes keeps its place: who came first decides between conflicting rows.
        wanted.setdefault(batch_id(contract, file), file)
    pending = [file for batch, file in wanted.items() if batch not in present]
    findings = _Findings()
    if pending:
        _gate_pending(settings, contract, pending, wanted, present, findings, clock, say)
    for stale in present - wanted.keys():
        shutil.rmtree(folder / stale)
    records = tuple(read_record(folder / batch) for batch in wanted)
    return LoadReport(
        source=contract.name,
        entity=contract.entity.name,
        location=location(contract, settings),
        files_found=len(found),
        loaded=tuple(findings.loaded),
        records=records,
        reasons=dict(findings.reasons),
        new_columns=findings.new_columns,
        absent_columns=findings.absent_columns,
        elapsed_seconds=time.monotonic() - started,
        newest_arrival=max((file.received_at for file in received), default=None),
        unreadable=unreadable,
    )


def _gate_pending(
    settings: Settings,
    contract: SourceContract,
    pending: list[LandedFile],
    wanted: dict[str, LandedFile],
    present: set[str],
    findings: _Findings,
    clock: Clock,
    say: Progress,
) -> None:
    folder = source_folder(settings, contract)
    by_content = {file.sha256: folder / batch for batch, file in wanted.items() if batch in present}
    started = said = time.monotonic()
    with scratch_connection(settings) as connection:
        known = KnownKeys(connection, [folder / batch for batch in wanted if batch in present])
        for index, file in enumerate(pending, start=1):
            earlier = by_content.get(file.sha256)
            if earlier is not None:
                findings.add(GateResult(_replayed(settings, contract, file, read_record(earlier), clock())))
            else:
                result = gate_file(connection, settings, contract, file, known, clock())
                findings.add(result)
                by_content[file.sha256] = folder / result.record.batch_id
            record = findings.loaded[-1]
            # A line a second is enough for a person; a backfill may have thousands of files.
            if index < len(pending) and record.status != "rejected" and time.monotonic() - said < 1:
                continue
            said = time.monotonic()
            say(
                f"{contract.name}: file {index}/{len(pending)} {record.status}, {record.rows_read:,} rows,"
                f" {sum(r.rows_read for r in findings.loaded):,} in all, {time.monotonic() - started:.1f} s"
            )


def _replayed(
    settings: Settings, contract: SourceContract, file: LandedFile, earlier: FileRecord, loaded_at: dt.datetime
) -> FileRecord:
    """Commit the record of a file whose very bytes came before under another name."""
    batch = batch_id(contract, file)
    record = replace(
        earlier,
        file=file.name,
        batch_id=batch,
        rows_accepted=0,
        rows_quarantined=0,
        rows_duplicate=earlier.rows_read,
        status="replayed" if earlier.status == "loaded" else earlier.status,
        reason=f"same bytes as {earlier.file}" if earlier.status == "loaded" else earlier.reason,
        loaded_at=loaded_at,
        first_occurred_at=None,
        last_occurred_at=None,
    )
    temporary = settings.scratch / f"batch-{os.getpid()}-{batch}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    write_record(temporary, record)
    commit_batch(temporary, source_folder(settings, contract) / batch)
    return record
