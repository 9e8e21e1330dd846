"""Calls to the hotline: who rings about what, how long they wait, how it ends."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl
from scipy.special import ndtri

from transforms.demo.almanac import CALL_HOURS, DAY, DAYS, clock, day_of, moments, next_open_day
from transforms.demo.company import Company
from transforms.demo.identifiers import PLACEHOLDER_EMAILS, PLACEHOLDER_PHONES, mistype, overwrite, spell_phones
from transforms.demo.people import People
from transforms.demo.randomness import Bools, Floats, Ints, hexadecimal, joined, pick, strata, weighted
from transforms.demo.rows import Rows, present, truth_columns

SOURCE = "hotline_calls"
COLUMNS = [
    "call_ref", "received", "result", "queue", "wait", "talk_sec", "hold_sec", "wrap_sec", "agent", "topic", "solved",
    "rating", "caller", "email", "card", "account",
]  # fmt: skip
TOPICS = ["complaint", "enquiry", "delivery", "return", "invoice", "order_change"]
_TOPIC_WEIGHTS = [0.13, 0.33, 0.21, 0.13, 0.11, 0.09]
COMPLAINT = 0
"""Position of complaints among the topics."""
_OUTCOMES = ["ANSWERED", "HANGUP", "IVR"]
ANSWERED, ABANDONED, SELF_SERVICE = 0, 1, 2
_CALLS_A_YEAR = 1.53  # of an average person in a year of interest, repeats left out
_AGENTS = 40
_LONGEST_WAIT = 900


@dataclass(frozen=True)
class Calls:
    """One entry per call."""

    person: Ints
    wall: Ints
    topic: Ints
    outcome: Ints
    queued: Bools
    resolved: Bools

    def __len__(self) -> int:
        return len(self.person)


def draw_calls(rng: np.random.Generator, company: Company, people: People) -> Calls:
    """Calls of the people of a block. People who only use screens write instead of ringing."""
    behaviour = people.behaviour
    years = (behaviour.active_until - behaviour.joined) / 365
    count = rng.poisson(_CALLS_A_YEAR * years * behaviour.eagerness) * (behaviour.use >= 1)
    person = np.repeat(np.arange(len(people)), count)
    size = len(person)
    moment = behaviour.joined[person] + rng.random(size) * (behaviour.active_until - behaviour.joined)[person]
    wall = next_open_day(day_of(moment)) * DAY + clock(rng, size, CALL_HOURS)
    calls = _settle(rng, company, person, wall, weighted(rng, size, _TOPIC_WEIGHTS))
    first_again = _ring_again(rng, company, calls)
    return joined(calls, first_again, _ring_again(rng, company, first_again))


def _settle(rng: np.random.Generator, company: Company, person: Ints, wall: Ints, topic: Ints) -> Calls:
    size = len(person)
    draw = rng.random(size)
    outcome = np.where(draw < company.self_service, SELF_SERVICE, ANSWERED)
    outcome[draw >= 1 - company.abandoned] = ABANDONED
    # some hang up in the menu, before the queue
    queued = (outcome == ANSWERED) | ((outcome == ABANDONED) & (rng.random(size) < 0.92))
    resolved = (outcome == ANSWERED) & (rng.random(size) < np.where(topic == COMPLAINT, 0.64, 0.84))
    return Calls(person, wall, topic, outcome, queued, resolved)


def _ring_again(rng: np.random.Generator, company: Company, calls: Calls) -> Calls:
    """The next call about the same thing of those who hung up or were not helped: mostly within a day."""
    open_matter = (calls.outcome == ABANDONED) | ((calls.outcome == ANSWERED) & ~calls.resolved)
    again = np.flatnonzero(open_matter & (rng.random(len(calls)) < 0.52))
    size = len(again)
    day, time = calls.wall[again] // DAY, calls.wall[again] % DAY
    soon = time + rng.integers(600, 3 * 3600, size)
    same_day = (rng.random(size) < 0.5) & (soon < 20 * 3600)
    later = day + np.where(rng.random(size) < 0.6, 1, rng.integers(2, 7, size))
    in_time = same_day | (later < DAYS)
    later = next_open_day(later.clip(max=DAYS - 1))
    wall = np.where(same_day, day * DAY + soon, later * DAY + clock(rng, size, CALL_HOURS))
    again, wall = again[in_time], wall[in_time]
    return _settle(rng, company, calls.person[again], wall, calls.topic[again])


@cache
def _wait_scale(mean: float, at_once: float, spread: float) -> float:
    """Scale that gives the whole-second wait its planted mean."""
    grid = (np.arange(200_000) + 0.5) / 200_000
    low, high = 0.1, 200.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _waits(grid, at_once, spread, middle).mean() < mean else (low, middle)
    return low


def _waits(quantile: Floats, at_once: float, spread: float, scale: float) -> Ints:
    queue = ((quantile - at_once) / (1 - at_once)).clip(1e-9, 1 - 1e-9)
    seconds = np.minimum(scale * np.exp(spread * ndtri(queue)), _LONGEST_WAIT)
    return np.where(quantile < at_once, 0, np.rint(seconds)).astype(np.int64)


def draw_waits(rng: np.random.Generator, company: Company, calls: Calls) -> Ints:
    """Seconds in the queue, -1 for calls that never reached it.

    The waits of answered calls are the quantiles of their planted distribution, one from each of equal
    slices, so that the mean is met in a small company too; the long ones fall on the busy hours.
    """
    answered = np.flatnonzero(calls.outcome == ANSWERED)
    waits = np.full(len(calls), -1)
    busy = np.array(CALL_HOURS)[calls.wall[answered] % DAY // 3600] + rng.normal(0, 6, len(answered))
    scale = _wait_scale(company.mean_wait_seconds, company.answered_at_once, company.wait_spread)
    quantiles = strata(rng, len(answered))
    waits[answered[np.argsort(busy, kind="stable")]] = _waits(
        quantiles, company.answered_at_once, company.wait_spread, scale
    )
    hung_up = np.flatnonzero((calls.outcome == ABANDONED) & calls.queued)
    short = rng.random(len(hung_up)) < 0.45
    patience = 12 + rng.exponential(55, len(hung_up))
    waits[hung_up] = np.where(short, rng.integers(1, 10, len(hung_up)), patience).astype(np.int64)
    return waits


def call_rows(rng: np.random.Generator, company: Company, people: People, calls: Calls, first_call: int) -> Rows:
    """Rows of the calls; ids count from ``first_call``."""
    size, waits = len(calls), draw_waits(rng, company, calls)
    answered = calls.outcome == ANSWERED
    talk = np.rint(170 * rng.lognormal(0, 0.7, size)).astype(np.int64)
    # a switch that lost the end or the start of a call: kept by the gate, left out of handle times
    fault = rng.random(size)
    talk = np.where(fault < 0.001, -talk, np.where(fault > 0.998, talk + 2 * 3600, talk))
    hold = np.where(rng.random(size) < 0.3, rng.exponential(45, size), 0).astype(np.int64)
    wrap = rng.exponential(40, size).astype(np.int64)
    everyone = np.arange(size)
    who, usable = _identify(rng, company, people, calls)
    reference = call_references(calls, first_call)
    asked = answered & (rng.random(size) < 0.9)
    frame = pl.DataFrame(
        {
            "call_ref": reference,
            "received": moments(calls.wall).dt.strftime("%Y-%m-%dT%H:%M:%S"),
            "result": pl.Series(_OUTCOMES).gather(calls.outcome),
            "queue": pick(pl.Series(["service"]), np.zeros(size, dtype=np.int64), calls.queued),
            "wait": pick(_durations(waits), everyone, calls.queued),
            "talk_sec": pick(pl.Series(talk).cast(pl.String), everyone, answered),
            "hold_sec": pick(pl.Series(hold).cast(pl.String), everyone, answered),
            "wrap_sec": pick(pl.Series(wrap).cast(pl.String), everyone, answered),
            "agent": pick(
                "AG" + pl.Series(rng.integers(1, _AGENTS + 1, size)).cast(pl.String).str.zfill(3), everyone, answered
            ),
            "topic": pl.Series([topic.upper() for topic in TOPICS]).gather(calls.topic),
            "solved": pick(pl.Series(["N", "J"]).gather(calls.resolved.astype(np.int64)), everyone, asked),
            "rating": pick(
                pl.Series(_ratings(rng, calls, waits)).cast(pl.String), everyone, answered & (rng.random(size) < 0.35)
            ),
            **who,
        }
    )
    return Rows(
        SOURCE, frame.with_columns(truth_columns(people, calls.person, calls.wall, SOURCE + ":" + reference, usable))
    )


def call_references(calls: Calls, first_call: int) -> pl.Series:
    """References of the calls, counted from ``first_call``."""
    return "C" + hexadecimal(np.arange(len(calls)) + first_call, 64)


def _durations(seconds: Ints) -> pl.Series:
    """Seconds as HH:MM:SS."""
    return moments(seconds.clip(0)).dt.strftime("%H:%M:%S")


def _ratings(rng: np.random.Generator, calls: Calls, waits: Ints) -> Ints:
    """1 to 5: help counts most, then the matter, then the wait."""
    mood = 4.5 - 1.5 * ~calls.resolved - 0.6 * (calls.topic == COMPLAINT) - 0.8 * (waits > 60)
    return np.rint(mood + rng.normal(0, 0.8, len(calls))).astype(np.int64).clip(1, 5)


def _identify(
    rng: np.random.Generator, company: Company, people: People, calls: Calls
) -> tuple[dict[str, pl.Series], Bools]:
    size, names, person = len(calls), people.names, calls.person
    way = rng.random(size)
    from_home = present(names.landline)[person] & (way < 0.30)
    withheld = way > 0.93
    number = names.mobile.at(person, calls.wall, ~from_home & ~withheld)
    home = np.flatnonzero(from_home)
    number = number.scatter(home, names.landline.gather(person[home]))
    # mostly as the network signals it, sometimes as an agent notes it down
    phone = spell_phones(rng, number, [10, 6, 55, 8, 12, 3, 3, 2, 0.5])
    phone, no_phone = overwrite(rng, phone, company.placeholders, PLACEHOLDER_PHONES)
    answered = calls.outcome == ANSWERED
    email = names.email.at(person, calls.wall, answered & (rng.random(size) < 0.50))
    slipped = rng.random(size) < company.mistyped_emails * 2
    email, faked = overwrite(rng, mistype(rng, email, slipped), company.placeholders, PLACEHOLDER_EMAILS)
    by_card = answered & names.has_card[person] & (rng.random(size) < 0.50)
    by_account = answered & names.has_account[person] & (rng.random(size) < 0.20)
    card, account = pick(names.card, person, by_card), pick(names.account, person, by_account)
    own_phone = ~from_home & ~withheld & ~no_phone
    usable = own_phone | (present(email) & ~slipped & ~faked) | by_card | by_account
    return {"caller": phone, "email": email, "card": card, "account": account}, usable
