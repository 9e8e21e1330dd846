"""What an identity run did, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class IdentityReport:
    """Figures of one identity run."""

    observations: int
    """Combinations of raw identifiers that the sources have sent."""
    resolved: int
    """Those of them that were worked out in this run; the others stay as the last run left them."""
    anonymous_observations: int
    """Observations that belong to no customer: all they hold is blocked, contested or weak."""
    anonymous_records: int
    """Source records behind the anonymous observations."""
    identifiers: dict[str, dict[str, int]]
    """Identifiers by type and status (linked, blocked, contested, weak)."""
    refused_edges: int
    """Pairs of observation and contested identifier: links that the policy did not make."""
    refused_merges: int
    """Identifiers whose merge would have broken a limit of one customer."""
    links: int
    """Links of people and models that hold."""
    customers: int
    largest_customer: int
    """Identifiers of the customer who has the most."""
    new: int
    """Customer ids given for the first time."""
    merged: int
    """Customer ids that became aliases of others."""
    split: int
    """Customers of the last run whose identifiers now belong to several."""
    restored: int
    """Customer ids that were aliases and are customers again."""
    quality: Mapping[str, float | None] = field(default_factory=dict)
    """Figures of :mod:`transforms.identity.quality`."""
    overrides: dict[str, int] = field(default_factory=dict)
    """Decisions of people by what became of them (applied, expired, contradiction, not found …)."""
    remarks: tuple[str, ...] = ()
    """A sentence for each decision that was not applied."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Elapsed time by step."""

    def metadata(self) -> dict[str, int | float]:
        """All figures under flat names, as an orchestrator shows them."""
        flat: dict[str, int | float] = {
            name: value for name, value in vars(self).items() if isinstance(value, int | float)
        }
        for kind, statuses in self.identifiers.items():
            flat.update({f"identifiers/{kind}/{status}": count for status, count in statuses.items()})
        flat.update({f"quality/{name}": value for name, value in self.quality.items() if value is not None})
        flat.update({f"overrides/{status}": count for status, count in self.overrides.items()})
        flat.update({f"seconds/{step}": round(seconds, 3) for step, seconds in self.seconds.items()})
        return flat
