"""Files whose fate is known without reading them: bytes that came before, and those that came at no moment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from transforms.contracts import SourceContract
from transforms.lake.gate import rejected
from transforms.lake.landing import LandedFile
from transforms.lake.records import FileRecord, read_record
from transforms.lake.versions import goes_by_arrival
from transforms.lake.wanted import Content, content_of


@dataclass(frozen=True)
class Unread:
    """``read`` are the batches of the files that were read, by content; ``arrivals`` tells since when each counts."""

    contract: SourceContract
    arrivals: Mapping[str, dt.datetime | None]
    read: dict[Content, Path]

    def add(self, file: LandedFile, batch: Path) -> None:
        """Take a file into account that was read."""
        self.read[content_of(self.contract, file)] = batch

    def came_before(self, file: LandedFile) -> bool:
        """Whether a file of the same content was read."""
        return content_of(self.contract, file) in self.read

    def record(self, batch: str, file: LandedFile, loaded_at: dt.datetime) -> FileRecord | None:
        """The record that the file gets, None where it has to be read."""
        if self.arrivals[batch] is None:
            reason = "deliveredAt: the name does not tell the moment; rename the file, or mend the expression"
            return rejected(self.contract, file, batch, reason, loaded_at)
        copied = None if goes_by_arrival(self.contract) else self.read.get(content_of(self.contract, file))
        earlier = None if copied is None else read_record(copied)
        # Of a file that was refused or is held nothing has been taken: its copy may yet have another fate.
        if earlier is None or earlier.status not in {"loaded", "replayed"}:
            return None
        return _replayed(batch, file, earlier, loaded_at)


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
