"""What an explanation says: two subjects, the way from the one to the other, and what stands between them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field


class ExplainError(LookupError):
    """It cannot be explained; the message says why and what to do."""


@dataclass(frozen=True)
class Observation:
    """A combination of raw identifiers in one source; ``values`` are those identifiers by type, personal data."""

    key: str
    source: str
    records: int
    first_seen_at: dt.datetime
    last_seen_at: dt.datetime
    values: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class Known:
    """An identifier: ``shown`` is masked unless the values were asked for, ``status`` as in the lake's identifiers.

    ``observations`` hold it, by their keys.
    """

    type: str
    shown: str
    status: str
    reason: str | None
    first_seen_at: dt.datetime
    last_seen_at: dt.datetime
    records: int
    observations: tuple[str, ...]


@dataclass(frozen=True)
class Hop:
    """One step of evidence: two identifiers, or a record that was asked for and one of its, and what joins them.

    ``observation`` is where both stand; None for a link, which ``rule`` names. Without a bridge the customer would fall
    into two, the smaller of ``bridge_side`` identifiers.
    """

    start: str
    observation: str | None
    end: str
    rule: str = "seen_together"
    probability: float | None = None
    is_bridge: bool = False
    bridge_side: int = 0


@dataclass(frozen=True)
class Decided:
    """A decision of people about the customers asked for, as the file of overrides has it, and what became of it."""

    line: int
    action: str
    author: str
    reason: str
    decided_on: dt.date
    status: str
    detail: str | None


@dataclass(frozen=True)
class RefusedLink:
    """A link between the two customers asked for that was not made."""

    rule: str
    reason: str
    probability: float | None


@dataclass(frozen=True)
class Former:
    """An id that the customer had before, and since when it is only another name for it."""

    customer_id: str
    since: dt.date
    run_id: str
    reason: str


@dataclass(frozen=True)
class Subject:
    """What was asked for: a customer, or an identifier or record that belongs to nobody (``customer_id`` None)."""

    asked: str
    customer_id: str | None
    why_nobody: str | None = None
    former: tuple[Former, ...] = ()
    identifiers: tuple[Known, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """The answer. ``path`` leads from the first to the second where both are one customer.

    ``between`` are the identifiers that stand in observations of both where they are not, with the reason why none of
    them joins the two.
    """

    first: Subject
    second: Subject | None
    path: tuple[Hop, ...]
    between: tuple[Known, ...]
    observations: dict[str, Observation]
    refused: tuple[RefusedLink, ...] = ()
    decisions: tuple[Decided, ...] = ()
