"""The files that the lake does not hold yet, one after the other through the gate."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from transforms.lake.file_reader import FileReader
from transforms.lake.gate import Gate, GateResult
from transforms.lake.known_keys import KnownKeys
from transforms.lake.landing import LandedFile
from transforms.lake.records import FileRecord, commit_batch, read_records, write_record
from transforms.lake.releases import Releases
from transforms.lake.side_by_side import side_by_side
from transforms.lake.unread import Unread
from transforms.lake.wanted import content_of
from transforms.settings import Settings


def gate_pending(
    reader: FileReader,
    releases: Releases,
    folder: Path,
    wanted: Mapping[str, LandedFile],
    arrivals: Mapping[str, dt.datetime | None],
    present: set[str],
    clock: Callable[[], dt.datetime],
    found: Callable[[GateResult], None],
) -> None:
    """Commit a batch to ``folder`` for each file of ``wanted`` that is not ``present``, in their order.

    ``found`` is told of each as soon as it is committed.
    """
    contract = reader.contract
    pending = [(batch, file) for batch, file in wanted.items() if batch not in present]
    done = [folder / batch for batch in wanted if batch in present]
    types: dict[str, str] = {}
    if contract.server.format == "parquet":
        for record in read_records(done):
            types.update(record.column_types)
    moments = {batch: at for batch, at in arrivals.items() if at}
    known = KnownKeys(reader.connection.cursor(), contract, done, moments)
    # Of several with the same content the first one is the one that was read.
    unread = Unread(contract, arrivals, {content_of(contract, wanted[path.name]): path for path in reversed(done)})
    with side_by_side(Gate(reader, folder, known, releases, types)) as gates:
        for index, (batch, file) in enumerate(pending, start=1):
            loaded_at = clock()
            record = unread.record(batch, file, loaded_at)
            if record:
                found(GateResult(_committed(reader.settings, folder, record)))
                continue
            following = next((each for _, each in pending[index : index + 1] if not unread.came_before(each)), None)
            result = gates.pass_file(file, batch, loaded_at, following)
            unread.add(file, folder / batch)
            found(result)


def _committed(settings: Settings, folder: Path, record: FileRecord) -> FileRecord:
    """Commit a batch that consists of its record alone."""
    temporary = settings.scratch / f"batch-{os.getpid()}-{record.batch_id}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    write_record(temporary, record)
    commit_batch(temporary, folder / record.batch_id)
    return record
