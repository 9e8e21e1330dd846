"""Profiles of the CRM: one person, several spellings; each change is sent again as a new version."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from transforms.demo.almanac import DAY, DAYS, END, SHOP_HOURS, clock, day_of, moments
from transforms.demo.civil import Civil, misspell, spell_births, spell_names, spell_streets
from transforms.demo.company import Company
from transforms.demo.identifiers import PLACEHOLDER_EMAILS, PLACEHOLDER_PHONES, mistype, overwrite, spell_phones
from transforms.demo.people import People
from transforms.demo.randomness import Bools, Ints, pick
from transforms.demo.rows import Rows, present, truth_columns

SOURCE = "crm_profiles"
COLUMNS = [
    "kunden_nr", "anrede", "vorname", "nachname", "name_original", "geburtsdatum", "strasse", "hausnummer", "plz",
    "ort", "land", "email", "telefon", "kundenkarte", "konto", "herkunft", "status", "angelegt", "geaendert",
]  # fmt: skip
_CARD, _ACCOUNT, _HOTLINE = 0, 1, 2
_ORIGINS = ["FILIALE", "WEBSHOP", "HOTLINE"]
_TOLD = 0.75
"""Share of changes of address, number and e-mail that the CRM hears of."""


@dataclass(frozen=True)
class Profiles:
    """One entry per profile: whose it is and on which form it was opened."""

    person: Ints
    form: Ints
    created: Ints  # wall seconds

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True)
class Versions:
    """One entry per state of a profile, by profile and time."""

    profile: Ints
    changed: Ints  # wall seconds
    retyped: Bools  # the name was typed again
    current: Bools


def draw_profiles(rng: np.random.Generator, people: People) -> Profiles:
    """Most people with a card or an account have a profile; some have two, and nobody saw that both are one."""
    names, size = people.names, len(people)
    known = (names.has_card | names.has_account) & (rng.random(size) < 0.62)
    unlinked = known & names.has_card & names.has_account & ~names.card_linked & (rng.random(size) < 0.6)
    by_phone = known & (rng.random(size) < 0.06)
    parts = [np.flatnonzero(part) for part in (known, unlinked, by_phone)]
    main = np.where(names.has_card, _CARD, _ACCOUNT)[parts[0]]
    form = np.concatenate([main, np.full(len(parts[1]), _ACCOUNT), np.full(len(parts[2]), _HOTLINE)])
    person = np.concatenate(parts)
    day = day_of(people.behaviour.joined)[person] + rng.exponential(6, len(person)).astype(np.int64)
    created = day.clip(max=DAYS - 1) * DAY + clock(rng, len(person), SHOP_HOURS)
    order = np.lexsort((form, person))
    return Profiles(person[order], form[order], created[order])


def draw_versions(rng: np.random.Generator, people: People, civil: Civil, profiles: Profiles) -> Versions:
    """The first state of each profile, and one more for each change that the CRM hears of."""
    size, everyone = len(profiles), np.arange(len(profiles))
    columns = [(everyone, profiles.created, np.ones(size, dtype=bool))]
    names = people.names
    for changes in (names.email.changes_at, names.mobile.changes_at, civil.street.changes_at):
        moment = changes[profiles.person]
        day = np.minimum(moment, END - 1) // DAY + rng.integers(1, 21, size)
        heard = (moment < END) & (moment > profiles.created) & (day < DAYS) & (rng.random(size) < _TOLD)
        columns.append((everyone[heard], _at_work(rng, day[heard]), rng.random(int(heard.sum())) < 0.2))
    mended = np.flatnonzero(rng.random(size) < 0.09)
    day = profiles.created[mended] // DAY + 1 + rng.integers(0, 200, len(mended))
    in_time = day < DAYS
    columns.append((mended[in_time], _at_work(rng, day[in_time]), np.ones(int(in_time.sum()), dtype=bool)))
    profile, changed, retyped = (np.concatenate(column) for column in zip(*columns, strict=True))
    # two changes in one second would be one version
    _, kept = np.unique(profile * END + changed, return_index=True)
    profile, changed, retyped = profile[kept], changed[kept], retyped[kept]
    return Versions(profile, changed, retyped, np.append(profile[1:] != profile[:-1], True))


def _at_work(rng: np.random.Generator, day: Ints) -> Ints:
    return day * DAY + clock(rng, len(day), SHOP_HOURS)


def profile_rows(rng: np.random.Generator, company: Company, people: People, civil: Civil) -> Rows:
    """Rows of all versions; the truth knows the last one of each profile.

    Now and then a state is sent weeks late, after a newer one of the same profile.
    """
    profiles = draw_profiles(rng, people)
    versions = draw_versions(rng, people, civil, profiles)
    size, person = len(versions.profile), profiles.person[versions.profile]
    form, wall = profiles.form[versions.profile], versions.changed
    # a name stays as it was typed until somebody types it again
    typed = np.maximum.accumulate(np.where(versions.retyped, np.arange(size), 0))
    given, family = spell_names(rng, civil.given.gather(person), civil.family.gather(person))
    births = spell_births(rng, civil.birth.gather(person))
    streets = spell_streets(rng, civil.street.at(person, wall))
    cities = misspell(rng, civil.city.at(person, wall), 0.02)
    who, usable = _identify(rng, company, people, form, person, wall)
    with_address = rng.random(len(profiles))[versions.profile] < np.where(form == _HOTLINE, 0.3, 0.85)
    state = (wall > END - 30 * DAY) | (rng.random(size) < 0.97)
    number = "K" + pl.Series(versions.profile + people.first * 3 + 1).cast(pl.String).str.zfill(8)
    frame = pl.DataFrame(
        {
            "kunden_nr": number,
            "anrede": pl.Series(["Herr", "Frau"]).gather(civil.is_female[person].astype(np.int64)),
            "vorname": given.gather(typed),
            "nachname": family.gather(typed),
            "name_original": civil.native.gather(person),
            "geburtsdatum": births.gather(typed),
            "strasse": pick(streets, np.arange(size), with_address),
            "hausnummer": civil.number.at(person, wall, with_address),
            "plz": civil.postal_code.at(person, wall, with_address),
            "ort": pick(cities, np.arange(size), with_address),
            "land": pl.Series(["DE", "Deutschland", "D"]).gather(rng.choice(3, size, p=[0.7, 0.2, 0.1])),
            **who,
            "herkunft": pl.Series(_ORIGINS).gather(form),
            "status": pl.Series(["GESPERRT", "AKTIV"]).gather(state.astype(np.int64)),
            "angelegt": _german(profiles.created[versions.profile]),
            "geaendert": _german(wall),
        }
    )
    late = (rng.random(size) < 0.02) & ~versions.current
    sent = np.where(late, np.minimum(wall + 40 * DAY, END - 1), wall)
    record = SOURCE + ":" + number
    columns = truth_columns(people, person, sent, record, usable)
    return Rows(SOURCE, frame.with_columns(*columns, pl.Series("_current", versions.current)))


def _german(wall: Ints) -> pl.Series:
    return moments(wall).dt.strftime("%d.%m.%Y %H:%M:%S")


def _identify(
    rng: np.random.Generator, company: Company, people: People, form: Ints, person: Ints, wall: Ints
) -> tuple[dict[str, pl.Series], Bools]:
    size, names = len(person), people.names
    linked = names.card_linked[person]
    by_card = (form == _CARD) | ((form == _ACCOUNT) & linked)
    by_account = (form == _ACCOUNT) | ((form == _CARD) & linked)
    email = names.email.at(person, wall, rng.random(size) < np.where(form == _CARD, 0.7, 0.9))
    slipped = (form != _ACCOUNT) & (rng.random(size) < company.mistyped_emails * 2)
    email, faked = overwrite(rng, mistype(rng, email, slipped), company.placeholders, PLACEHOLDER_EMAILS)
    from_home = present(names.landline)[person] & (rng.random(size) < 0.12)
    number = names.mobile.at(person, wall, ~from_home & (rng.random(size) < np.where(form == _HOTLINE, 1.0, 0.65)))
    home = np.flatnonzero(from_home)
    phone = spell_phones(rng, number.scatter(home, names.landline.gather(person[home])))
    phone, no_phone = overwrite(rng, phone, company.placeholders, PLACEHOLDER_PHONES)
    who = {
        "email": email,
        "telefon": phone,
        "kundenkarte": pick(names.card, person, by_card),
        "konto": pick(names.account, person, by_account),
    }
    own_phone = present(phone) & ~from_home & ~no_phone
    return who, by_card | by_account | (present(email) & ~slipped & ~faked) | own_phone
