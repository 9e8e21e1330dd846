"""A source's new files through the gate into the lake."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from transforms.contracts import SourceContract
from transforms.lake.arrival import arrived_at, declared_moments, in_order
from transforms.lake.file_reader import FileReader
from transforms.lake.gate import GateResult
from transforms.lake.generations import generation_folder, inherit, remove_former, show, shown
from transforms.lake.landing import LandedFile, land, last_state, received_files
from transforms.lake.leftovers import remove_leftovers
from transforms.lake.load_report import LoadReport
from transforms.lake.pending import gate_pending
from transforms.lake.progress import Progress
from transforms.lake.records import FileRecord, ensure_empty_batch, read_records
from transforms.lake.releases import read_releases
from transforms.lake.wanted import wanted_batches
from transforms.settings import Settings
from transforms.sources import deliveries, location
from transforms.sources.delivery import UnreadableError

__all__ = ["Clock", "LoadReport", "load_source", "utc_now"]

Clock = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    """The clock of the load, with zone."""
    return dt.datetime.now(dt.UTC)


def load_source(
    settings: Settings,
    contract: SourceContract,
    clock: Clock = utc_now,
    progress: Callable[[str], None] | None = None,
    pull: bool = True,
) -> LoadReport:
    """Land a source's new files and pass each through the gate, in order of arrival.

    Files already loaded under the same contract cost nothing. After a change of the contract, or a release, the
    landed files are gated anew; readers see the old batches until the new ones are complete. Without ``pull`` the
    provider is left alone.
    """
    started = time.monotonic()
    remove_leftovers(settings, contract.name)
    ensure_empty_batch(settings, contract.entity)
    unreadable: dict[str, str] = {}
    before = received_files(settings, contract.name)
    try:
        found = deliveries(contract, settings, last_state(before), clock()) if pull else []
    except UnreadableError as error:
        found = []
        unreadable[location(contract, settings)] = str(error)
    loaded: list[FileRecord] = []
    reasons: Counter[str] = Counter()
    with FileReader(settings, contract) as reader:

        def look_ahead() -> FileReader | None:
            # Files that wait from earlier on come first.
            return None if _waiting(settings, contract, before) else reader

        received = land(settings, contract.name, found, clock, unreadable, look_ahead)
        releases = read_releases(settings, contract.name)
        declared = declared_moments(settings, contract, received)
        ordered, late = in_order(received, declared)
        wanted = wanted_batches(contract, ordered)
        inherit(settings, contract, releases, late, [(batch, file.name) for batch, file in wanted.items()])
        folder = generation_folder(settings, contract, releases, late)
        remove_former(settings, contract, folder)
        if shown(settings, contract) is None:
            show(settings, contract, folder)
        present = _names(folder)
        if wanted.keys() - present:
            arrivals = {batch: arrived_at(file, declared) for batch, file in wanted.items()}
            told = Progress(contract.name, len(wanted.keys() - present), progress or (lambda _: None))

            def found_out(result: GateResult) -> None:
                loaded.append(result.record)
                reasons.update(result.reasons)
                told.add(result.record)

            gate_pending(reader, releases, folder, wanted, arrivals, present, clock, found_out)
        show(settings, contract, folder)
    return LoadReport(
        source=contract.name,
        entity=contract.entity.name,
        location=location(contract, settings),
        files_found=len(found),
        loaded=tuple(loaded),
        records=tuple(read_records([folder / batch for batch in wanted])),
        reasons=dict(reasons),
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
    return wanted_batches(contract, ordered).keys() - _names(folder)
