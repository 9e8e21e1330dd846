"""Consents: who allowed what, and who took it back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from transforms.demo.almanac import DAY, END, day_of, moments, to_utc
from transforms.demo.people import People
from transforms.demo.randomness import Bools, Ints, hexadecimal, joined, pick
from transforms.demo.rows import Rows, truth_columns

SOURCE = "consents"
NEWSLETTER, PROFILING, TRACKING = 0, 1, 2
_PURPOSES = ["newsletter", "profiling", "tracking"]
_CHANNELS = ["mail", "any", "browser"]
_PLACES = ["checkout", "card_form", "cookie_banner"]
_ASKED = [0.55, 0.35, 0.40]  # share of those whom the question can reach
_GRANTED = [0.80, 0.85, 0.60]
_WITHDRAWN = 0.16  # of those who granted
LINE = pl.struct(
    "consent", "purpose", "channel", "state", "changed", "given", "revoked", "place", "wording",
    pl.struct("mail", "account", "card", "cookie").alias("subject"),
).struct.json_encode()  # fmt: skip


@dataclass(frozen=True)
class Consents:
    """One entry per consent; ``withdrawn`` is END for those that hold."""

    person: Ints
    purpose: Ints
    decided: Ints  # wall seconds
    granted: Bools
    withdrawn: Ints

    def __len__(self) -> int:
        return len(self.person)

    def newsletter(self, people: int) -> tuple[Ints, Ints]:
        """From when to when each person may be sent campaigns, in wall seconds; END, END for never."""
        since, until = np.full(people, END), np.full(people, END)
        chosen = np.flatnonzero((self.purpose == NEWSLETTER) & self.granted)
        since[self.person[chosen]], until[self.person[chosen]] = self.decided[chosen], self.withdrawn[chosen]
        return since, until


def draw_consents(rng: np.random.Generator, people: People) -> Consents:
    """At most one consent for each person and purpose."""
    return joined(*(_of_purpose(rng, people, purpose) for purpose in (NEWSLETTER, PROFILING, TRACKING)))


def _of_purpose(rng: np.random.Generator, people: People, purpose: int) -> Consents:
    names = people.names
    browses = (people.behaviour.use <= 1) & ~names.has_app
    reachable = [names.has_account | names.has_card, names.has_card, browses][purpose]
    person = np.flatnonzero(reachable & (rng.random(len(people)) < _ASKED[purpose]))
    size, day = len(person), day_of(people.behaviour.joined)[person]
    # asked in the first days, at any time of the day, never in the last minutes of the calendar
    decided = np.minimum(day * DAY + rng.integers(6 * 3600, 30 * DAY, size), END - 3600)
    granted = rng.random(size) < _GRANTED[purpose]
    later = decided + 3600 + rng.exponential(160 * DAY, size).astype(np.int64)
    leaves = granted & (rng.random(size) < _WITHDRAWN) & (later < END - 3600)
    return Consents(person, np.full(size, purpose), decided, granted, np.where(leaves, later, END))


def consent_rows(people: People, consents: Consents, first_consent: int) -> Rows:
    """A row for each decision and for each withdrawal; the truth knows the last one. Ids count from there."""
    size, names = len(consents), people.names
    left = np.flatnonzero(consents.withdrawn < END)
    row = np.concatenate([np.arange(size), left])
    is_withdrawal = np.arange(len(row)) >= size
    person, purpose, granted = consents.person[row], consents.purpose[row], consents.granted[row]
    decided, changed = consents.decided[row], np.where(is_withdrawal, consents.withdrawn[row], consents.decided[row])
    state = np.where(is_withdrawal, 2, np.where(granted, 0, 1))
    consent_id = "E" + hexadecimal(row + first_consent, 81)
    mail = purpose == NEWSLETTER
    frame = pl.DataFrame(
        {
            "consent": consent_id,
            "purpose": pl.Series(_PURPOSES).gather(purpose),
            "channel": pl.Series(_CHANNELS).gather(purpose),
            "state": pl.Series(["opt_in", "opt_out", "revoked"]).gather(state),
            "changed": _utc(changed),
            "given": pick(_utc(decided), np.arange(len(row)), granted),
            "revoked": pick(_utc(changed), np.arange(len(row)), is_withdrawal),
            "place": pl.Series(_PLACES).gather(purpose),
            "wording": pl.Series(["2023-11", "2024-09"]).gather((decided > 270 * DAY).astype(np.int64)),
            "mail": names.email.at(person, decided, mail),
            "account": pick(names.account, person, mail & names.has_account[person]),
            "card": pick(names.card, person, purpose == PROFILING),
            "cookie": pick(names.browser, person, purpose == TRACKING),
        }
    )
    current = is_withdrawal | (consents.withdrawn[row] == END)
    columns = truth_columns(people, person, changed, SOURCE + ":" + consent_id, np.ones(len(row), dtype=bool))
    return Rows(SOURCE, frame.with_columns(*columns, pl.Series("_current", current)))


def _utc(wall: Ints) -> pl.Series:
    return moments(to_utc(wall)).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
