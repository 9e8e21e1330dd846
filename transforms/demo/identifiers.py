"""How people are named in the sources: numbers, addresses, ids, and the ways they get spelt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from transforms.demo.almanac import END
from transforms.demo.randomness import Bools, Ints, hexadecimal, pick, scatter, weighted

NO_DEVICE = "00000000-0000-0000-0000-000000000000"
PLACEHOLDER_EMAILS = ["null", "test@example.com", "unknown", "none@example.org", "n/a"]
PLACEHOLDER_PHONES = ["00000000", "unknown", "0000000000000", "+49 000 0000000"]
PLACEHOLDER_CARDS = ["0000000000000", "9999999999999"]


def _words(text: str) -> list[str]:
    return text.split()


_FIRST_NAMES = _words(
    "anna ben clara david emma felix greta hanna ida jonas karl lea marie noah oskar paula quentin rosa simon tom ute"
    " vera willi xenia yusuf zoe ahmet birgit claus doris erik fatma georg heike ingo jutta klaus lena murat nina olaf"
    " petra ralf sabine tim ursula viktor wanda"
)
_LAST_NAMES = _words(
    "mueller schmidt schneider fischer weber meyer wagner becker schulz hoffmann koch bauer richter klein wolf neumann"
    " schwarz zimmermann braun krueger hofmann hartmann lange schmitt werner krause meier lehmann kaiser fuchs lang"
    " scholz peters weiss jung hahn vogel keller frank berger winkler roth beck lorenz baumann franke albrecht yilmaz"
    " kaya nowak kowalski rossi petrov nguyen demir santos"
)
_MAIL_DOMAINS = ["example.com", "example.org", "example.net"]
# Subscriber numbers here begin with 0, as those reserved for films do: they look valid and ring nowhere we know of.
_MOBILE_PREFIXES = ["1510", "1600", "1700", "1710", "1720", "1750", "1760"]
_CITY_PREFIXES = ["300", "400", "690", "890"]


@dataclass(frozen=True)
class Changing:
    """An identifier that a person changes at most once.

    ``values`` holds the first value of everyone, then the second of everyone; ``changes_at`` is in wall
    seconds, ``END`` for those who keep theirs.
    """

    values: pl.Series
    changes_at: Ints

    def at(self, person: Ints, wall: Ints, where: Bools | None = None) -> pl.Series:
        """Value of each person at a moment; null where ``where`` is false."""
        return pick(self.values, self.position(person, wall), where)

    def position(self, person: Ints, wall: Ints) -> Ints:
        """Position in ``values`` of what holds at a moment."""
        return person + len(self.changes_at) * (wall >= self.changes_at[person])

    def first(self) -> pl.Series:
        """First value of everyone."""
        return self.values.head(len(self.changes_at))

    def second(self) -> pl.Series:
        """Second value of those who change, null for the others."""
        changed = self.changes_at < END
        return pick(self.values, np.arange(len(changed)) + len(changed), changed)


def emails(rng: np.random.Generator, index: Ints) -> pl.Series:
    """Two addresses for each person, the first of all before the second of all; unique by their number."""
    twice = np.tile(index, 2)
    size = len(twice)
    first = np.tile(rng.integers(0, len(_FIRST_NAMES), len(index)), 2)
    frame = pl.DataFrame(
        {
            "first": pl.Series(_FIRST_NAMES).gather(first),
            "last": pl.Series(_LAST_NAMES).gather(rng.integers(0, len(_LAST_NAMES), size)),
            "number": twice * 2 + np.repeat([0, 1], len(index)),
            "domain": pl.Series(_MAIL_DOMAINS).gather(weighted(rng, size, [0.6, 0.25, 0.15])),
        }
    )
    return frame.select(pl.format("{}.{}{}@{}", "first", "last", "number", "domain")).to_series()


def mobiles(index: Ints) -> pl.Series:
    """National numbers without the leading zero, eleven digits, unique up to ten million."""
    return _numbers(index, _MOBILE_PREFIXES, 7_654_321)


def landlines(index: Ints) -> pl.Series:
    """National landline numbers without the leading zero, ten digits, unique up to ten million."""
    return _numbers(index, _CITY_PREFIXES, 3_141_593)


def _numbers(index: Ints, prefixes: list[str], step: int) -> pl.Series:
    rest = pl.Series(scatter(index, 10**7, step)).cast(pl.String).str.zfill(7)
    return pl.Series(prefixes).gather(index % len(prefixes)) + rest


def card_numbers(index: Ints) -> pl.Series:
    """Customer card numbers: EAN-13 of the range 29 (in-house numbering), with a valid check digit."""
    digits = scatter(index, 10**10, 7_368_787_693) + 29 * 10**10
    powers = 10 ** np.arange(11, -1, -1)
    each = digits[:, None] // powers % 10
    check = -(each * np.tile([1, 3], 6)).sum(axis=1) % 10
    return pl.Series(digits * 10 + check).cast(pl.String)


def uuids(index: Ints, salt: int) -> pl.Series:
    """Ids in the usual form of version 4."""
    left, right = hexadecimal(index, salt), hexadecimal(index, salt + 1)
    frame = pl.DataFrame({"l": left, "r": right})
    parts = [pl.col("l").str.slice(0, 8), pl.col("l").str.slice(8, 4), "4" + pl.col("l").str.slice(13, 3)]
    parts += ["a" + pl.col("r").str.slice(1, 3), pl.col("r").str.slice(4, 12)]
    return frame.select(pl.concat_str(parts, separator="-")).to_series()


def accounts(index: Ints) -> pl.Series:
    """Ids of signed-in accounts."""
    return "u-" + hexadecimal(index, 11).str.head(12)


def payment_tokens(index: Ints) -> pl.Series:
    """Tokens of payment cards."""
    return "tok_" + hexadecimal(index, 12)


def spell_phones(rng: np.random.Generator, numbers: pl.Series, weights: list[float] | None = None) -> pl.Series:
    """Each national number in one of the spellings people type; nulls stay null.

    The order of ``weights``: 0171…, 0171 …, +49171…, +49 171 …, 0049171…, 0171/…, (0171) …, +49 (0)171 …,
    full-width digits.
    """
    style = weighted(rng, len(numbers), weights or [20, 16, 24, 16, 8, 6, 5, 4, 0.5])
    split = pl.when(pl.col("n").str.starts_with("1")).then(3).otherwise(2)
    area, rest, number = pl.col("n").str.slice(0, split), pl.col("n").str.slice(split), pl.col("n")
    spellings = [
        pl.format("0{}", number), pl.format("0{} {}", area, rest), pl.format("+49{}", number),
        pl.format("+49 {} {}", area, rest), pl.format("0049{}", number), pl.format("0{}/{}", area, rest),
        pl.format("(0{}) {}", area, rest), pl.format("+49 (0){} {}", area, rest), pl.format("0{}", number),
    ]  # fmt: skip
    chosen = pl.lit(None, dtype=pl.String)
    for position, spelling in enumerate(spellings):
        chosen = pl.when(pl.col("style") == position).then(spelling).otherwise(chosen)
    spelt = pl.DataFrame({"n": numbers, "style": style}).select(chosen.alias("phone")).to_series()
    wide = np.flatnonzero(style == len(spellings) - 1)
    digits = {str(digit): chr(0xFF10 + digit) for digit in range(10)}
    return spelt.scatter(wide, spelt.gather(wide).str.replace_many(digits)) if len(wide) else spelt


def mistype(rng: np.random.Generator, addresses: pl.Series, where: Bools) -> pl.Series:
    """E-mail addresses with a slip of the finger at the marked places: a letter lost, doubled, a wrong ending, no @."""
    places = np.flatnonzero(where & addresses.is_not_null().to_numpy())
    if not len(places):
        return addresses
    at = pl.Series("at", rng.integers(1, 6, len(places)))
    slip = pl.Series("slip", weighted(rng, len(places), [4, 4, 1, 1]))
    text, cut = pl.col("text"), pl.col("at")
    frame = pl.DataFrame({"text": addresses.gather(places), "at": at, "slip": slip})
    slipped = frame.select(
        pl.when(pl.col("slip") == 0)
        .then(text.str.slice(0, cut) + text.str.slice(cut + 1))
        .when(pl.col("slip") == 1)
        .then(text.str.slice(0, cut) + text.str.slice(cut - 1))
        .when(pl.col("slip") == 2)
        .then(text.str.replace(r"\.(com|org|net)$", ".con"))
        .otherwise(text.str.replace("@", ""))
    ).to_series()
    return addresses.scatter(places, slipped)


def overwrite(rng: np.random.Generator, values: pl.Series, share: float, with_: list[str]) -> tuple[pl.Series, Bools]:
    """Values with a share of those present replaced by placeholders, and where that happened."""
    hit = (rng.random(len(values)) < share) & values.is_not_null().to_numpy()
    places = np.flatnonzero(hit)
    if not len(places):
        return values, hit
    return values.scatter(places, pl.Series(with_).gather(rng.integers(0, len(with_), len(places)))), hit
