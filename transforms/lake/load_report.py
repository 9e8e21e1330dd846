"""What a load did, and where its source stands."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from transforms.lake.readers.drift import likely_renames
from transforms.lake.records import FileRecord


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
