"""What a value run did, in figures and one sentence."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ValueReport:
    """Outcome of a value run; ``finding`` says in a sentence what was taken and why."""

    customers: int
    model: str
    propensity_model: str
    is_sound: bool
    finding: str
    seconds: dict[str, float] = field(default_factory=dict)

    def metadata(self) -> dict[str, int | str | float]:
        """Figures for a log or a run page."""
        return {
            "customers": self.customers,
            "model": self.model,
            "propensity_model": self.propensity_model,
            "finding": self.finding,
            **{f"seconds_{step}": round(seconds, 2) for step, seconds in self.seconds.items()},
        }
