"""What a person has let through the gate although it breaks a rule: written down, with who and why, and kept.

Releases are decisions, not data that could be derived again: they lie beside the bytes that they speak of.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from transforms.durability import append_lines, read_lines
from transforms.lake.landing import LandedFile
from transforms.settings import Settings

LOG = "released.jsonl"
# Rules that a row may break and still be kept as it is. A value of the wrong type has no place in the column, a
# record without its key none in the table.
WAIVABLE = r"(rule|enum|minimum|maximum|max_length|pattern):[^;]+"


@dataclass(frozen=True)
class Release:
    """One decision: some rows of a file, or the whole file out of being held (``rows`` empty).

    ``rules`` are those that the rows broke when they were looked at; a rule that comes later is not waived.
    """

    file: str
    file_sha256: str
    rows: tuple[int, ...]
    reason: str
    released_by: str
    released_at: str
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Releases:
    """All decisions about a source, in the order in which they were made."""

    entries: tuple[Release, ...] = ()

    def rules_of(self, file: LandedFile) -> list[tuple[int, str]]:
        """Pairs of a row's physical number and a rule that it may break."""
        return sorted({(row, rule) for entry in self._about(file) for row in entry.rows for rule in entry.rules})

    def of_file(self, file: LandedFile) -> bool:
        """Whether the file's good rows go on, however many bad ones it has."""
        return any(not entry.rows for entry in self._about(file))

    def _about(self, file: LandedFile) -> list[Release]:
        # Nobody has decided about what came after: an empty snapshot that was right once may be a fault the next time.
        return [
            entry
            for entry in self.entries
            if (entry.file, entry.file_sha256) == (file.name, file.sha256)
            and dt.datetime.fromisoformat(entry.released_at) >= file.received_at
        ]


def read_releases(settings: Settings, source: str) -> Releases:
    """All decisions about a source."""
    entries = read_lines(settings.landing / source / LOG)
    return Releases(
        tuple(
            Release(**{**entry, "rows": tuple(entry["rows"]), "rules": tuple(entry.get("rules", ()))})
            for entry in entries
        )
    )


def write_release(
    settings: Settings,
    source: str,
    file: LandedFile,
    rows: Sequence[int],
    reason: str,
    released_by: str,
    now: dt.datetime,
    rules: Sequence[str] = (),
) -> Release:
    """Write a decision down; it counts from the next load on."""
    release = Release(
        file.name, file.sha256, tuple(sorted(set(rows))), reason, released_by, now.isoformat(), tuple(rules)
    )
    append_lines(settings.landing / source / LOG, [asdict(release)])
    return release
