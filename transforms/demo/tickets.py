"""Cases of the service centre, event by event: most come from calls, some by mail, web and social networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from transforms.demo.almanac import CALL_HOURS, DAY, END, clock, day_of, moments, utc_offset
from transforms.demo.hotline import ANSWERED, COMPLAINT, TOPICS, Calls
from transforms.demo.identifiers import spell_phones
from transforms.demo.people import People
from transforms.demo.randomness import Bools, Ints, hexadecimal, joined, pick, weighted
from transforms.demo.rows import Rows, present, truth_columns

SOURCE = "service_cases"
_CHANNELS = ["PHONE", "MAIL", "WEB", "SOCIAL"]
_KINDS = ["OPENED", "ASSIGNED", "REPLIED", "ESCALATED", "SOLVED", "REOPENED", "SOLVED", "CLOSED"]
_ACTORS = ["CUSTOMER", "SYSTEM", "AGENT", "AGENT", "AGENT", "CUSTOMER", "AGENT", "SYSTEM"]
_STATES = ["OPEN", "OPEN", "WAITING", "OPEN", "SOLVED", "OPEN", "SOLVED", "CLOSED"]
_REPLIED, _SOLVED = 2, (4, 6)
_DIGITAL_A_YEAR = 0.12  # cases of a person in a year of interest that do not come from a call
_SUBJECTS = [
    "Beschwerde", "Frage zu einem Artikel", "Wo bleibt meine Lieferung?", "Rückgabe", "Rechnung", "Bestellung ändern"
]  # fmt: skip
_TEXTS = [
    "Der Artikel kam beschädigt an.", "Gibt es den Artikel auch in Blau?", "Seit einer Woche keine Nachricht.",
    "Ich möchte zurückgeben, was nicht passt.", "Die Rechnung stimmt nicht.", "Bitte an eine andere Adresse liefern.",
]  # fmt: skip
_REPLY_HOURS, _SOLVE_HOURS = np.array([4, 24, 48]), np.array([24, 72, 168])  # promised, by priority
LINE = pl.struct(
    pl.struct("id", "type", "category", "priority", "channel", "subject",
              pl.struct("reply_by", "solve_by").alias("promise")).alias("ticket"),
    pl.struct("number", "kind", "at", "by", "state", "team", "agent", "text").alias("event"),
    pl.struct("mail", "phone", "card", "account").alias("customer"),
    pl.struct("call").alias("reference"),
).struct.json_encode()  # fmt: skip


@dataclass(frozen=True)
class Cases:
    """One entry per case; ``call`` is the position of the call it came from, -1 for none."""

    person: Ints
    call: Ints
    topic: Ints
    channel: Ints
    opened: Ints  # wall seconds

    def __len__(self) -> int:
        return len(self.person)


def draw_cases(rng: np.random.Generator, people: People, calls: Calls) -> Cases:
    """Cases of calls that left something open, and of people who write instead."""
    left_open = (calls.outcome == ANSWERED) & ~calls.resolved
    chosen = left_open & (rng.random(len(calls)) < np.where(calls.topic == COMPLAINT, 0.8, 0.45))
    call = np.flatnonzero(chosen)
    opened = np.minimum(calls.wall[call] + rng.integers(60, 900, len(call)), END - 1)
    from_calls = Cases(calls.person[call], call, calls.topic[call], np.zeros(len(call), dtype=np.int64), opened)
    behaviour = people.behaviour
    years = (behaviour.active_until - behaviour.joined) / 365
    count = rng.poisson(_DIGITAL_A_YEAR * years * behaviour.eagerness) * (behaviour.use <= 1)
    person = np.repeat(np.arange(len(people)), count)
    moment = behaviour.joined[person] + rng.random(len(person)) * (behaviour.active_until - behaviour.joined)[person]
    written = day_of(moment) * DAY + clock(rng, len(person), CALL_HOURS)
    channel = 1 + weighted(rng, len(person), [0.5, 0.35, 0.15])
    topic = weighted(rng, len(person), [0.3, 0.25, 0.2, 0.1, 0.1, 0.05])
    return joined(from_calls, Cases(person, np.full(len(person), -1), topic, channel, written))


def _course(rng: np.random.Generator, cases: Cases, priority: Ints) -> tuple[Ints, Bools]:
    """Moment of each step of each case (one column per step), and which steps it takes before the calendar ends."""
    size = len(cases)
    reply = _REPLY_HOURS[priority - 1] * 3600 * rng.lognormal(-0.7, 0.8, size)
    solve = _SOLVE_HOURS[priority - 1] * 3600 * rng.lognormal(-0.6, 0.8, size)
    again = rng.random(size) < 0.08
    waits = [
        np.zeros(size),
        rng.exponential(1200, size) + 1,
        reply + 60,
        rng.exponential(6 * 3600, size) + 60,
        solve + 60,
        rng.exponential(2 * DAY, size) + 600,
        solve * 0.5 + 60,
        np.full(size, 3.0 * DAY),
    ]
    takes = np.ones((size, len(waits)), dtype=bool)
    takes[:, 1] = rng.random(size) < 0.8
    takes[:, 3] = rng.random(size) < np.where(cases.topic == COMPLAINT, 0.2, 0.05)
    # some are never solved
    takes[:, 4:] &= (rng.random(size) < 0.93)[:, None]
    takes[:, 5:7] &= again[:, None]
    walls = cases.opened[:, None] + np.cumsum(np.stack(waits, axis=1).astype(np.int64) * takes, axis=1)
    return walls, takes & (walls < END)


def case_rows(
    rng: np.random.Generator, people: People, cases: Cases, call_reference: pl.Series, first_case: int
) -> Rows:
    """Rows of the events; numbers of cases count from ``first_case``."""
    priority = 1 + weighted(rng, len(cases), [0.15, 0.55, 0.30])
    walls, takes = _course(rng, cases, priority)
    case, step = np.nonzero(takes)
    wall, size, person = walls[case, step], len(case), cases.person[case]
    who, named = _identify(rng, people, cases)
    topic, channel = cases.topic[case], cases.channel[case]
    team = np.where(takes[:, 3][case] & (step >= 3), 2, topic % 2)
    everyone = np.arange(size)
    by_agent = np.array([actor == "AGENT" for actor in _ACTORS])[step]
    case_id = "T" + hexadecimal(np.arange(len(cases)) + first_case, 111)
    number = pl.Series(step + 1).cast(pl.String)
    agent = "AG" + pl.Series(rng.integers(1, 41, size)).cast(pl.String).str.zfill(3)
    frame = pl.DataFrame(
        {
            "id": case_id.gather(case),
            "type": pl.Series(TOPICS).gather(topic),
            "category": pl.Series(_SUBJECTS).gather(topic),
            "priority": pl.Series(["P1", "P2", "P3"]).gather(priority[case] - 1),
            "channel": pl.Series(_CHANNELS).gather(channel),
            "subject": pl.Series(_SUBJECTS).gather(topic),
            "reply_by": _utc(cases.opened + _REPLY_HOURS[priority - 1] * 3600).gather(case),
            "solve_by": _utc(cases.opened + _SOLVE_HOURS[priority - 1] * 3600).gather(case),
            "number": number,
            "kind": pl.Series(_KINDS).gather(step),
            "at": _utc(wall),
            "by": pl.Series(_ACTORS).gather(step),
            "state": pl.Series(_STATES).gather(step),
            "team": pl.Series(["SERVICE", "LOGISTIK", "ZWEITE_LINIE"]).gather(team),
            "agent": pick(agent, everyone, by_agent),
            "text": pick(pl.Series(_TEXTS), topic, step == 0),
            **{name: values.gather(case) for name, values in who.items()},
            "call": pick(call_reference, cases.call.clip(0), cases.call >= 0).gather(case),
        }
    )
    record = frame.select(pl.format(SOURCE + ":{}:{}", "id", "number")).to_series()
    return Rows(SOURCE, frame.with_columns(truth_columns(people, person, wall, record, named[case])))


def _identify(rng: np.random.Generator, people: People, cases: Cases) -> tuple[dict[str, pl.Series], Bools]:
    """What the ticket system has of the customer: of callers the number, of writers the address."""
    names, person, size = people.names, cases.person, len(cases)
    rang = cases.channel == 0
    phone = spell_phones(rng, names.mobile.at(person, cases.opened, rang & (rng.random(size) < 0.85)))
    email = names.email.at(person, cases.opened, (cases.channel == 1) | (rang & (rng.random(size) < 0.4)))
    card = pick(names.card, person, rang & names.has_card[person] & (rng.random(size) < 0.4))
    account = pick(names.account, person, (cases.channel >= 2) & names.has_account[person])
    who = {"mail": email, "phone": phone, "card": card, "account": account}
    return who, present(phone) | present(email) | present(card) | present(account)


def _utc(wall: Ints) -> pl.Series:
    # promises may lie beyond the calendar, where its last offset holds
    return moments(wall - utc_offset(wall.clip(max=END - 1))).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
