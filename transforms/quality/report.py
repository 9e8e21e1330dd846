"""What a validation found, free of Great Expectations and of values."""

from __future__ import annotations

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
    """All rules of a contract against the rows of one load."""

    source: str
    rows: int
    results: tuple[RuleResult, ...]
    elapsed_seconds: float
    data_docs: Path

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
