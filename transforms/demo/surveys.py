"""Surveys: NPS, CSAT and CES after calls and orders, and a questionnaire once a year."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from transforms.demo.almanac import DAY, END, day_of, moments
from transforms.demo.hotline import ANSWERED, COMPLAINT, Calls
from transforms.demo.identifiers import spell_phones
from transforms.demo.people import People
from transforms.demo.purchases import Orders
from transforms.demo.randomness import Floats, Ints, hexadecimal, joined, pick, taken
from transforms.demo.rows import Rows, present, truth_columns

SOURCE = "surveys"
COLUMNS = [
    "antwort", "frage", "welle", "gefragt", "beantwortet", "art", "wert", "skala", "werte", "anlass", "weg", "text",
    "vorgang", "email", "telefon", "konto",
]  # fmt: skip
_CALL, _ORDER, _YEARLY = 0, 1, 2
_OCCASIONS, _WAYS = ["HOTLINE", "BESTELLUNG", "BAROMETER"], ["sms", "email", "email"]
_AFTER_CALLS, _AFTER_ORDERS, _IN_YEARLY = 0.10, 0.03, 0.012  # shares of calls, online orders and people
_QUESTIONS = ["NPS", "CSAT", "CES", "ZUFRIEDENHEIT"]
_KINDS = ["NPS", "CSAT", "CES", "SKALA"]
_SCALES = ["0-10", "1-5", "1-7", "1-7"]
_WAVES = [(155, "2024"), (520, "2025")]  # days of the questionnaire
_ITEMS = [
    *(f"{dimension}.{number}" for dimension in ("tangibles", "reliability", "responsiveness", "assurance", "empathy")
      for number in (1, 2)),
    *(f"{dimension}.{number}.expectation" for dimension in
      ("tangibles", "reliability", "responsiveness", "assurance", "empathy") for number in (1,)),
    *(f"{dimension}.{number}" for dimension in
      ("touchpoint_consistency", "content_value", "channel_use", "response_efficiency", "trust") for number in (1, 2)),
]  # fmt: skip
_WEIGHTS = {"touchpoint_consistency": 0.45, "content_value": 0.2, "channel_use": 0.1, "response_efficiency": 0.35}
"""What overall satisfaction is made of, in standard deviations: what a driver analysis should find again."""
_WORDS = [
    "Alles bestens, danke!", "Schnell und freundlich.", '"Gut; nur die Wartezeit nicht."', "Geht so.",
    "Leider keine Lösung bekommen.", "Nie wieder.", "I am happy with the service.", "服务很好",
]  # fmt: skip


@dataclass(frozen=True)
class Answers:
    """One entry per answer; ``about`` is the position of the call or order."""

    person: Ints
    occasion: Ints
    about: Ints
    question: Ints
    asked: Ints
    answered: Ints
    mood: Floats  # standard normal, better is higher

    def __len__(self) -> int:
        return len(self.person)


def draw_answers(rng: np.random.Generator, people: People, calls: Calls, sales: Orders) -> Answers:
    """Answers after answered calls, after online orders and to the yearly questionnaire."""
    person_mood = rng.normal(0, 0.6, len(people))
    call = np.flatnonzero((calls.outcome == ANSWERED) & (rng.random(len(calls)) < _AFTER_CALLS))
    helped = 0.9 * calls.resolved[call] - 0.5 * (calls.topic[call] == COMPLAINT) - 0.4
    order = np.flatnonzero(sales.online & (rng.random(len(sales)) < _AFTER_ORDERS))
    wave = rng.integers(0, len(_WAVES), len(people))
    at = np.array([day for day, _ in _WAVES])[wave] * DAY + 10 * 3600
    there = (day_of(people.behaviour.joined) * DAY < at) & (day_of(people.behaviour.active_until) * DAY > at)
    asked = np.flatnonzero(there & (rng.random(len(people)) < _IN_YEARLY))
    return joined(
        *(_after(rng, calls.person[call], _CALL, call, question, calls.wall[call] + 3600, person_mood, helped)
          for question in (0, 2)),
        *(_after(rng, sales.person[order], _ORDER, order, question, sales.wall[order] + 3 * DAY, person_mood, 0.4)
          for question in (0, 1)),
        _after(rng, asked, _YEARLY, np.full(len(asked), -1), 3, at[asked], person_mood, 0.2),
    )  # fmt: skip


def _after(
    rng: np.random.Generator, person: Ints, occasion: int, about: Ints, question: int, asked: Ints, mood: Floats,
    lift: Floats | float,
) -> Answers:  # fmt: skip
    size = len(person)
    answered = asked + 60 + rng.exponential(20 * 3600, size).astype(np.int64)
    there = np.flatnonzero(answered < END)
    felt = mood[person] + lift + rng.normal(0, 0.6, size)
    answers = Answers(person, np.full(size, occasion), about, np.full(size, question), asked, answered, felt)
    return taken(answers, there)


def answer_rows(
    rng: np.random.Generator,
    people: People,
    answers: Answers,
    call_reference: pl.Series,
    order_id: pl.Series,
    first_answer: int,
) -> Rows:
    """Rows of the answers; ids count from ``first_answer``. Who does not want to say says k. A."""
    size, everyone, person = len(answers), np.arange(len(answers)), answers.person
    yearly, of_call = answers.occasion == _YEARLY, answers.occasion == _CALL
    items = _questionnaires(rng, answers.mood[yearly])
    values = _values(answers)
    values[yearly] = items[:, 0]
    text = pick(pl.Series(values).cast(pl.String), everyone, rng.random(size) < 0.97).fill_null("k. A.")
    tone = np.rint(3 - answers.mood * 2 + rng.normal(0, 0.7, size)).astype(np.int64).clip(0, len(_WORDS) - 1)
    # all answers to one invitation are one questionnaire
    form = np.where(yearly, people.first + person, answers.about) * 3 + answers.occasion
    response = "R" + hexadecimal(form + first_answer, 101)
    question = pl.Series(_QUESTIONS).gather(answers.question)
    who, usable = _identify(rng, people, answers)
    about = pick(call_reference, answers.about.clip(0), of_call)
    ordered = np.flatnonzero(answers.occasion == _ORDER)
    about = about.scatter(ordered, order_id.gather(answers.about[ordered]))
    wave = np.where(answers.asked < 300 * DAY, 0, 1)
    packed = pl.Series([None], dtype=pl.String).gather(np.zeros(size, dtype=np.int64))
    packed = packed.scatter(np.flatnonzero(yearly), _packed(items[:, 1:])) if yearly.any() else packed
    frame = pl.DataFrame(
        {
            "antwort": response,
            "frage": question,
            "welle": pick(pl.Series([name for _, name in _WAVES]), wave, yearly),
            "gefragt": _german(answers.asked),
            "beantwortet": _german(answers.answered),
            "art": pl.Series(_KINDS).gather(answers.question),
            "wert": text,
            "skala": pl.Series(_SCALES).gather(answers.question),
            "werte": packed,
            "anlass": pl.Series(_OCCASIONS).gather(answers.occasion),
            "weg": pl.Series(_WAYS).gather(answers.occasion),
            "text": pick(pl.Series(_WORDS), tone, rng.random(size) < 0.25),
            "vorgang": about,
            **who,
        }
    )
    record = SOURCE + ":" + response + ":" + question
    return Rows(SOURCE, frame.with_columns(truth_columns(people, person, answers.answered, record, usable)))


def _values(answers: Answers) -> Ints:
    """Answers on their scales; effort is the only one whose low end is good."""
    low, high = np.array([0, 1, 1, 1])[answers.question], np.array([10, 5, 7, 7])[answers.question]
    middle, spread = np.array([7.4, 3.9, 3.0, 5.0])[answers.question], np.array([2.6, 1.0, -1.6, 1.2])[answers.question]
    return np.rint(middle + spread * answers.mood).astype(np.int64).clip(low, high)


def _questionnaires(rng: np.random.Generator, mood: Floats) -> Ints:
    """Overall satisfaction and the items, 1 to 7, one row each; items of a scale agree with each other."""
    size = len(mood)
    names = [item.split(".")[0] for item in _ITEMS]
    scales = {name: 0.5 * mood + rng.normal(0, 0.85, size) for name in dict.fromkeys(names)}
    overall = sum((weight * scales[name] for name, weight in _WEIGHTS.items()), 0.25 * mood)
    columns = [5.0 + 1.1 * overall + rng.normal(0, 0.5, size)]
    for item, name in zip(_ITEMS, names, strict=True):
        hoped = 6.2 + rng.normal(0, 0.5, size)
        met = 4.9 + 1.1 * scales[name] + rng.normal(0, 0.6, size)
        columns.append(hoped if item.endswith("expectation") else met)
    return np.rint(np.stack(columns, axis=1)).astype(np.int64).clip(1, 7)


def _packed(items: Ints) -> pl.Series:
    """A JSON object for each questionnaire, quoted for CSV."""
    columns = {name: pl.Series(items[:, place]) for place, name in enumerate(_ITEMS)}
    text = pl.DataFrame(columns).select(pl.struct(pl.all()).struct.json_encode()).to_series()
    return '"' + text.str.replace_all('"', '""', literal=True) + '"'


def _identify(rng: np.random.Generator, people: People, answers: Answers) -> tuple[dict[str, pl.Series], np.ndarray]:
    names, person = people.names, answers.person
    by_sms = answers.occasion == _CALL
    phone = spell_phones(rng, names.mobile.at(person, answers.asked, by_sms))
    email = names.email.at(person, answers.asked, ~by_sms)
    account = pick(names.account, person, ~by_sms & names.has_account[person] & (rng.random(len(person)) < 0.5))
    return {"email": email, "telefon": phone, "konto": account}, present(phone) | present(email)


def _german(wall: Ints) -> pl.Series:
    return moments(wall).dt.strftime("%d.%m.%Y %H:%M:%S")
