"""A source's new files through the gate into the lake."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from transforms.contracts import SourceContract
from transforms.lake.arrival import arrived_at, declared_moments, in_order
from transforms.lake.file_reader import FileReader
from transforms.lake.gate import Gate, GateResult, rejected
from transforms.lake.generations import generation_folder, inherit, remove_former, show, shown
from transforms.lake.keys import KnownKeys, goes_by_arrival
from transforms.lake.landing import LandedFile, land, last_state, received_files
from transforms.lake.leftovers import remove_leftovers
from transforms.lake.readers.drift import likely_renames
from transforms.lake.readers.partitions import read_partitions
from transforms.lake.records import (
    FileRecord,
    batch_id,
    commit_batch,
    ensure_empty_batch,
    read_record,
    read_records,
    write_record,
)
from transforms.lake.releases import Releases, read_releases
from transforms.settings import Settings
from transforms.sources import deliveries, location
from transforms.sources.delivery import UnreadableError

Clock = Callable[[], dt.datetime]
Progress = Callable[[str], None]
# A file up to this size is read while the one before it is written: the rows of both are in memory then.
_AHEAD_BYTES = 64 << 20


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
    elapsed_seconds: float
    newest_arrival: dt.datetime | None = None
    unreadable: dict[str, str] = field(default_factory=dict)
    found: frozenset[str] | None = None

    def total(self, column: str, fresh: bool = False) -> int:
        """Sum of a row count over all files of the source, or over those of this load."""
        return sum(getattr(record, column) for record in (self.loaded if fresh else self.records))

    @property
    def rejected(self) -> tuple[FileRecord, ...]:
        """Files that were refused as a whole and have not come again since, mended or complete.

        A file that was half-written and that the provider no longer holds was completed under another name.
        """
        return tuple(record for record in self._latest("rejected") if not self._was_renamed(record))

    def _was_renamed(self, record: FileRecord) -> bool:
        return (
            self.found is not None
            and record.file not in self.found
            and (record.reason or "").startswith("half-written")
        )

    @property
    def held(self) -> tuple[FileRecord, ...]:
        """Files that wait for a person, and have not come again since."""
        return self._latest("held")

    def _latest(self, status: str) -> tuple[FileRecord, ...]:
        last = {record.file: record for record in self.records}
        return tuple(record for record in last.values() if record.status == status)

    @property
    def new_columns(self) -> dict[str, str]:
        """Columns that the contract does not know, each with a file that has it; values are kept in ``_extra``."""
        return {column: record.file for record in self._newest for column in reversed(record.new_columns)}

    @property
    def absent_columns(self) -> dict[str, str]:
        """Columns of the contract that do not come, each with a file that lacks it; they count as null."""
        return {column: record.file for record in self._newest for column in reversed(record.absent_columns)}

    @property
    def renamed_columns(self) -> dict[str, str]:
        """Absent columns with the new one that each may have become."""
        return likely_renames(self.absent_columns, self.new_columns)

    @property
    def _newest(self) -> list[FileRecord]:
        """Files of this load, newest first; where it brought none, the newest file: drift does not end overnight."""
        read = [record for record in self.loaded or self.records if record.status in {"loaded", "held"}]
        return read[::-1] if self.loaded else read[-1:]

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

    def add(self, result: GateResult) -> None:
        self.loaded.append(result.record)
        self.reasons.update(result.reasons)


def load_source(
    settings: Settings,
    contract: SourceContract,
    clock: Clock = utc_now,
    progress: Progress | None = None,
    pull: bool = True,
) -> LoadReport:
    """Land a source's new files and pass each through the gate, in order of arrival.

    Files already loaded under the same contract cost nothing. After a change of the contract, or a release, the
    landed files are gated anew; readers see the old batches until the new ones are complete. Without ``pull`` the
    provider is left alone.
    """
    started = time.monotonic()
    say = progress or (lambda _: None)
    remove_leftovers(settings, contract.name)
    ensure_empty_batch(settings, contract.entity)
    unreadable: dict[str, str] = {}
    before = received_files(settings, contract.name)
    try:
        found = deliveries(contract, settings, last_state(before), clock()) if pull else []
    except UnreadableError as error:
        found = []
        unreadable[location(contract, settings)] = str(error)
    findings = _Findings()
    with FileReader(settings, contract) as reader:

        def look_ahead() -> FileReader | None:
            # Files that wait from earlier on come first.
            return None if _waiting(settings, contract, before) else reader

        received = land(settings, contract.name, found, clock, unreadable, look_ahead)
        releases = read_releases(settings, contract.name)
        declared = declared_moments(settings, contract, received)
        ordered, late = in_order(received, declared)
        wanted = _wanted(contract, ordered)
        inherit(settings, contract, releases, late, [(batch, file.name) for batch, file in wanted.items()])
        folder = generation_folder(settings, contract, releases, late)
        remove_former(settings, contract, folder)
        if shown(settings, contract) is None:
            show(settings, contract, folder)
        present = _names(folder)
        if wanted.keys() - present:
            arrivals = {batch: arrived_at(file, declared) for batch, file in wanted.items()}
            _gate_pending(reader, releases, folder, wanted, arrivals, present, findings, clock, say)
        show(settings, contract, folder)
    return LoadReport(
        source=contract.name,
        entity=contract.entity.name,
        location=location(contract, settings),
        files_found=len(found),
        loaded=tuple(findings.loaded),
        records=tuple(read_records([folder / batch for batch in wanted])),
        reasons=dict(findings.reasons),
        elapsed_seconds=time.monotonic() - started,
        newest_arrival=max((file.received_at for file in received), default=None),
        unreadable=unreadable,
        found=frozenset(delivery.name for delivery in found) if pull else None,
    )


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _waiting(settings: Settings, contract: SourceContract, received: list[LandedFile]) -> set[str]:
    """Batches of files landed by earlier loads that the lake does not hold yet, or not under this contract."""
    ordered, late = in_order(received, declared_moments(settings, contract, received))
    folder = generation_folder(settings, contract, read_releases(settings, contract.name), late)
    return _wanted(contract, ordered).keys() - _names(folder)


def _wanted(contract: SourceContract, received: list[LandedFile]) -> dict[str, LandedFile]:
    """The batches that a source's files make, in order of arrival.

    A file that comes again with the same bytes keeps its place: who came first decides between conflicting rows. Only
    where the order of arrival itself says what is current, bytes that come back after others under the same path are
    news: the table is again what it was.
    """
    wanted: dict[str, LandedFile] = {}
    last: dict[str, str] = {}
    times: Counter[str] = Counter()
    for file in received:
        first = batch_id(contract, file)
        if not goes_by_arrival(contract):
            wanted.setdefault(first, file)
        elif last.get(file.name) != file.sha256:
            times[first] += 1
            wanted[batch_id(contract, file, times[first])] = file
        last[file.name] = file.sha256
    return wanted


def _gate_pending(
    reader: FileReader,
    releases: Releases,
    folder: Path,
    wanted: dict[str, LandedFile],
    arrivals: Mapping[str, dt.datetime | None],
    present: set[str],
    findings: _Findings,
    clock: Clock,
    say: Progress,
) -> None:
    settings, contract = reader.settings, reader.contract
    pending = [(batch, file) for batch, file in wanted.items() if batch not in present]
    done = [folder / batch for batch in wanted if batch in present]
    # The first of them is the one that was read.
    by_content = {_content(contract, wanted[path.name]): path for path in reversed(done)}
    types: dict[str, str] = {}
    if contract.server.format == "parquet":
        for record in read_records(done):
            types.update(record.column_types)
    started = said = time.monotonic()
    moments = {batch: at for batch, at in arrivals.items() if at}
    known = KnownKeys(reader.connection.cursor(), contract, done, moments)
    with _second(reader) as second, ThreadPoolExecutor(1) as helper:
        # The first of them has the turn.
        gates = [Gate(each, folder, known, releases, types) for each in (reader, second)]
        ahead: Future[None] | None = None
        for index, (batch, file) in enumerate(pending, start=1):
            copied = None if goes_by_arrival(contract) else by_content.get(_content(contract, file))
            earlier = None if copied is None else read_record(copied)
            if arrivals[batch] is None:
                reason = "deliveredAt: the name does not tell the moment; rename the file, or mend the expression"
                undated = rejected(contract, file, batch, reason, clock())
                findings.add(GateResult(_committed(settings, folder, undated)))
            # Of a file that was refused or is held nothing has been taken: its copy may yet have another fate.
            elif earlier is not None and earlier.status in {"loaded", "replayed"}:
                findings.add(GateResult(_committed(settings, folder, _replayed(batch, file, earlier, clock()))))
            else:
                if ahead:
                    ahead.result()
                following = next((each for _, each in pending[index : index + 1]), None)
                is_worth = following and _content(contract, following) not in by_content and _both_fit(file, following)
                ahead = helper.submit(gates[1].reader.read_ahead, following) if following and is_worth else None
                findings.add(gates[0].pass_file(file, batch, clock()))
                gates.reverse()
                by_content[_content(contract, file)] = folder / batch
            record = findings.loaded[-1]
            # A line a second is enough for a person; a backfill may have thousands of files.
            if index < len(pending) and record.status == "loaded" and time.monotonic() - said < 1:
                continue
            said = time.monotonic()
            say(
                f"{contract.name}: file {index}/{len(pending)} {record.status}, {record.rows_read:,} rows,"
                f" {sum(r.rows_read for r in findings.loaded):,} in all, {time.monotonic() - started:.1f} s"
            )


@contextmanager
def _second(reader: FileReader) -> Iterator[FileReader]:
    """Another reader of the same source, whose temp tables lie beside those of the first under one memory limit."""
    with FileReader(reader.settings, reader.contract, reader.expression_types) as second:
        second.connection = reader.connection.cursor()
        second.connection.execute("SET TimeZone = 'UTC'")
        yield second


def _both_fit(file: LandedFile, following: LandedFile) -> bool:
    return all(each.path.stat().st_size <= _AHEAD_BYTES for each in (file, following))


def _content(contract: SourceContract, file: LandedFile) -> tuple[str, tuple[tuple[str, str | None], ...]]:
    """What decides a file's rows: its bytes, and the partitions of its path that the contract reads."""
    return file.sha256, tuple(sorted(read_partitions(contract, file).items()))


def _replayed(batch: str, file: LandedFile, earlier: FileRecord, loaded_at: dt.datetime) -> FileRecord:
    """Record of a file whose very bytes came before under another name."""
    return replace(
        earlier,
        file=file.name,
        batch_id=batch,
        rows_accepted=0,
        rows_quarantined=0,
        rows_duplicate=earlier.rows_read,
        status="replayed",
        reason=f"same bytes as {earlier.file}",
        loaded_at=loaded_at,
        first_occurred_at=None,
        last_occurred_at=None,
        rows_released=0,
        rows_replaced=0,
        rows_deleted=0,
    )


def _committed(settings: Settings, folder: Path, record: FileRecord) -> FileRecord:
    """Commit a batch that consists of its record alone."""
    temporary = settings.scratch / f"batch-{os.getpid()}-{record.batch_id}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    write_record(temporary, record)
    commit_batch(temporary, folder / record.batch_id)
    return record
