"""What a validation found, free of Great Expectations and of values."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RuleResult:
    """One rule of the contract against one load; ``observed`` holds counts and shares, never values."""

    name: str
    rule: str
    severity: str
    passed: bool
    observed: str


@dataclass(frozen=True)
class QualityReport:
    """All rules of a contract against the rows of one load.

    ``loaded_at`` is when the last file of the load was committed (UTC, without zone); ``is_new`` is False where the
    load was checked in an earlier run and nothing came since.
    """

    source: str
    loaded_at: dt.datetime
    rows: int
    results: tuple[RuleResult, ...]
    elapsed_seconds: float
    data_docs: Path
    is_new: bool = True

    @property
    def failed(self) -> tuple[RuleResult, ...]:
        """Rules that the load breaks, in the order of the suite."""
        return tuple(result for result in self.results if not result.passed)

    @property
    def passed(self) -> bool:
        """Whether the load keeps every rule."""
        return not self.failed

    @property
    def is_error(self) -> bool:
        """Whether a rule is broken that the contract calls an error."""
        return any(result.severity == "error" for result in self.failed)
