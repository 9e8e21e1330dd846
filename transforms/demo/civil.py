"""What a register would say about each person: name, birth, sex, address; and how forms get it wrong."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl

from transforms.demo.almanac import DAY, END, day_of
from transforms.demo.identifiers import Changing
from transforms.demo.people import People
from transforms.demo.randomness import Bools, weighted

_UMLAUTS = {"mueller": "Müller", "krueger": "Krüger"}
_ANGLICISED = {"Müller": "Muller", "Krüger": "Kruger", "Schmidt": "Schmid", "Meyer": "Meier", "Hoffmann": "Hofmann"}
_SHORT = {
    "Benjamin": "Ben", "Alexander": "Alex", "Felix": "Fe.", "Greta": "Gretel", "Hanna": "Hannah", "Jonas": "Jona",
    "Karl": "Carl", "Lea": "Leah", "Noah": "Noa", "Quentin": "Quent.", "Simon": "Sim.", "Tim": "Timo", "Klaus": "Claus",
}  # fmt: skip
_FEMALE = [
    "anna", "clara", "emma", "greta", "hanna", "ida", "lea", "marie", "paula", "rosa", "ute", "vera", "xenia",
    "zoe", "birgit", "doris", "fatma", "heike", "jutta", "lena", "nina", "petra", "sabine", "ursula", "wanda",
]  # fmt: skip
_CHINESE_FAMILY = [("Wang", "王"), ("Li", "李"), ("Zhang", "张"), ("Liu", "刘"), ("Chen", "陈"), ("Yang", "杨")]
_CHINESE_GIVEN = [("Wei", "伟"), ("Fang", "芳"), ("Na", "娜"), ("Min", "敏"), ("Jing", "静"), ("Lei", "磊")]
_CHINESE = 0.015  # of people
_CITIES = [
    ("Berlin", "10"), ("Hamburg", "20"), ("München", "80"), ("Köln", "50"), ("Frankfurt am Main", "60"),
    ("Stuttgart", "70"), ("Düsseldorf", "40"), ("Leipzig", "04"), ("Dresden", "01"), ("Nürnberg", "90"),
    ("Münster", "48"), ("Freiburg im Breisgau", "79"),
]  # fmt: skip
_STREETS = [
    "Hauptstraße", "Schulstraße", "Gartenstraße", "Bahnhofstraße", "Dorfstraße", "Bergstraße", "Birkenweg",
    "Lindenstraße", "Kirchplatz", "Goethestraße", "Schillerstraße", "Am Markt", "Ringstraße", "Waldweg", "Mühlenweg",
    "Rosenweg", "Parkallee", "Feldstraße", "Wiesengrund", "Am Alten Hafen",
]  # fmt: skip
_MOVES = 0.07  # share of people who move


@dataclass(frozen=True)
class Civil:
    """One entry per person. Couples live together until one of them moves."""

    given: pl.Series
    family: pl.Series
    native: pl.Series  # the name in Chinese characters; null for most
    is_female: Bools
    birth: pl.Series  # dates
    street: Changing
    number: Changing
    postal_code: Changing
    city: Changing


def draw_civil(rng: np.random.Generator, people: People) -> Civil:
    """Names after the people's first e-mail address, as most have it; addresses by household."""
    size, home = len(people), people.household - people.first
    parts = pl.DataFrame({"mail": people.names.email.first()}).select(
        given=pl.col("mail").str.extract(r"^([a-z]+)\."), family=pl.col("mail").str.extract(r"^[a-z]+\.([a-z]+)")
    )
    is_female = parts["given"].is_in(_FEMALE).to_numpy()
    given = parts["given"].str.to_titlecase()
    family = parts["family"].replace(_UMLAUTS).str.to_titlecase()
    # six in ten couples bear one name
    shares = rng.random(size)[home] < 0.6
    family = family.gather(np.where(shares, home, np.arange(size)))
    chinese = np.flatnonzero(rng.random(size) < _CHINESE)
    last, first = (rng.integers(0, len(names), len(chinese)) for names in (_CHINESE_FAMILY, _CHINESE_GIVEN))
    native = pl.Series([_CHINESE_FAMILY[i][1] + _CHINESE_GIVEN[j][1] for i, j in zip(last, first, strict=True)])
    if len(chinese):
        given = given.scatter(chinese, pl.Series([_CHINESE_GIVEN[j][0] for j in first]))
        family = family.scatter(chinese, pl.Series([_CHINESE_FAMILY[i][0] for i in last]))
    natives = pl.Series([None], dtype=pl.String).gather(np.zeros(size, dtype=np.int64))
    natives = natives.scatter(chinese, native) if len(chinese) else natives
    ages = (18 + 62 * rng.beta(1.6, 2.0, size)) * 365.25
    births = pl.Series((dt.date(2024, 1, 1).toordinal() - dt.date(1970, 1, 1).toordinal()) - ages.astype(np.int64))
    joined = day_of(people.behaviour.joined) * DAY
    moves = rng.random(size) < _MOVES
    moves_at = np.where(moves, joined + (rng.random(size) * (END - joined)).astype(np.int64), END)
    city, street = rng.integers(0, len(_CITIES), 2 * size), rng.integers(0, len(_STREETS), 2 * size)
    number, rest = rng.integers(1, 140, 2 * size), rng.integers(100, 1000, 2 * size)
    letter = weighted(rng, 2 * size, [0.86, 0.08, 0.06])
    # first the homes of households, then the new ones of those who move
    place = np.concatenate([home, size + np.arange(size)])
    postal = pl.Series([prefix for _, prefix in _CITIES]).gather(city) + pl.Series(rest).cast(pl.String)
    numbers = pl.Series(number).cast(pl.String) + pl.Series(["", "a", "b"]).gather(letter)
    return Civil(
        given=given,
        family=family,
        native=natives,
        is_female=is_female,
        birth=births.cast(pl.Int32).cast(pl.Date),
        street=Changing(pl.Series(_STREETS).gather(street).gather(place), moves_at),
        number=Changing(numbers.gather(place), moves_at),
        postal_code=Changing(postal.gather(place), moves_at),
        city=Changing(pl.Series([name for name, _ in _CITIES]).gather(city).gather(place), moves_at),
    )


def misspell(rng: np.random.Generator, values: pl.Series, share: float) -> pl.Series:
    """A share of the words with a slip: a letter lost, doubled, two swapped; null stays null."""
    places = np.flatnonzero((rng.random(len(values)) < share) & values.is_not_null().to_numpy())
    if not len(places):
        return values
    text, at = pl.col("text"), pl.col("at")
    frame = pl.DataFrame(
        {
            "text": values.gather(places),
            "at": pl.Series(rng.integers(1, 4, len(places))),
            "slip": weighted(rng, len(places), [4, 3, 4]),
        }
    )
    slipped = frame.select(
        pl.when(pl.col("slip") == 0)
        .then(text.str.slice(0, at) + text.str.slice(at + 1))
        .when(pl.col("slip") == 1)
        .then(text.str.slice(0, at) + text.str.slice(at - 1))
        .otherwise(text.str.slice(0, at) + text.str.slice(at + 1, 1) + text.str.slice(at, 1) + text.str.slice(at + 2))
    ).to_series()
    return values.scatter(places, slipped)


def spell_names(rng: np.random.Generator, given: pl.Series, family: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Names as clerks and people type them: short forms, no umlauts, slips, capitals, both fields swapped."""
    size = len(given)
    frame = pl.DataFrame(
        {
            "given": misspell(rng, given, 0.03),
            "family": misspell(rng, family, 0.04),
            "short": rng.random(size) < 0.25,
            "plain": weighted(rng, size, [0.6, 0.25, 0.15]),
            "shout": rng.random(size) < 0.03,
            "swap": rng.random(size) < 0.01,
        }
    )
    flat = pl.col("family").str.replace_many(["ü", "ö", "ä", "ß"], ["ue", "oe", "ae", "ss"])
    frame = frame.with_columns(
        given=pl.when("short").then(pl.col("given").replace(_SHORT)).otherwise("given"),
        family=pl.when(pl.col("plain") == 1)
        .then(flat)
        .when(pl.col("plain") == 2)
        .then(pl.col("family").replace(_ANGLICISED))
        .otherwise("family"),
    ).with_columns(
        given=pl.when("shout").then(pl.col("given").str.to_uppercase()).otherwise("given"),
        family=pl.when("shout").then(pl.col("family").str.to_uppercase()).otherwise("family"),
    )
    swapped = frame.select(
        first=pl.when("swap").then("family").otherwise("given"), last=pl.when("swap").then("given").otherwise("family")
    )
    return swapped["first"], swapped["last"]


def spell_streets(rng: np.random.Generator, streets: pl.Series) -> pl.Series:
    """Streets with the endings that people give them: Hauptstraße, Hauptstrasse, Hauptstr."""
    style = weighted(rng, len(streets), [0.5, 0.3, 0.2])
    frame = pl.DataFrame({"text": misspell(rng, streets, 0.02), "style": style})
    return frame.select(
        pl.when(pl.col("style") == 1)
        .then(pl.col("text").str.replace("straße", "str."))
        .when(pl.col("style") == 2)
        .then(pl.col("text").str.replace("straße", "strasse"))
        .otherwise("text")
    ).to_series()


def spell_births(rng: np.random.Generator, births: pl.Series) -> pl.Series:
    """Dates of birth as dd.mm.yyyy: some missing, some 01.01.1900, some with day and month or the year mistaken."""
    style = weighted(rng, len(births), [0.80, 0.12, 0.02, 0.02, 0.04])
    day, date = pl.col("date").dt.day(), pl.col("date").dt.to_string("%d.%m.%Y")
    swapped = pl.when(day <= 12).then(pl.col("date").dt.to_string("%m.%d.%Y")).otherwise(date)
    year_off = pl.col("date").dt.offset_by("1y").dt.to_string("%d.%m.%Y")
    frame = pl.DataFrame({"date": births, "style": style})
    return frame.select(
        pl.when(pl.col("style") == 0)
        .then(date)
        .when(pl.col("style") == 1)
        .then(None)
        .when(pl.col("style") == 2)
        .then(pl.lit("01.01.1900"))
        .when(pl.col("style") == 3)
        .then(swapped)
        .otherwise(year_off)
    ).to_series()


def registered(civil: Civil) -> dict[str, pl.Series]:
    """Columns of truth/people.parquet."""
    return {
        "given_name": civil.given,
        "family_name": civil.family,
        "native_name": civil.native,
        "birth_date": civil.birth,
        "street": civil.street.first(),
        "house_number": civil.number.first(),
        "postal_code": civil.postal_code.first(),
        "city": civil.city.first(),
        "later_street": civil.street.second(),
        "later_postal_code": civil.postal_code.second(),
        "is_female": pl.Series(civil.is_female),
    }
