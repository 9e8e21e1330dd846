"""A register of invented people, some of them twice and misspelt, and a way to match it without a warehouse."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterable, Sequence
from typing import Any

import duckdb
import polars as pl

from transforms.identity.keys import define_keyed_hash
from transforms.linkage.blocking import block, choose_rules
from transforms.linkage.find import Found, compare, find_links
from transforms.linkage.model import Model, usable_columns
from transforms.linkage.normalise import ATTRIBUTES, prepare_profiles
from transforms.linkage.policy import LinkagePolicy, load_policy
from transforms.linkage.training import train

Profile = dict[str, Any]

_FIRST = (
    "an",
    "be",
    "cla",
    "do",
    "el",
    "fri",
    "ge",
    "hel",
    "in",
    "jo",
    "ka",
    "lu",
    "mar",
    "no",
    "ol",
    "pe",
    "ro",
    "sa",
    "ti",
    "ul",
    "vi",
    "wi",
    "yo",
    "za",
)
_LAST = ("na", "ta", "ra", "rin", "do", "ke", "us", "bert", "fred", "gard", "hild", "mut", "lind", "ger")
_STEMS = (
    "acker",
    "berg",
    "burg",
    "dorf",
    "eich",
    "fels",
    "grab",
    "hof",
    "kirch",
    "lind",
    "mühl",
    "ober",
    "rosen",
    "stein",
    "wald",
    "weide",
)
_ENDS = ("er", "mann", "meier", "bauer", "hardt", "felder", "inger", "ner", "huber", "winkel")
SECRET = b"a secret of the tests"
TOWNS = ("Ahlen", "Borken", "Celle", "Düren", "Emden", "Fulda", "Gotha", "Halle", "Jena", "Kamen", "Lemgo", "Minden")

SCHEMA = {
    "record_id": pl.String,
    "identity_key": pl.String,
    "birth_date": pl.Date,
    "birth_year": pl.Int64,
    **dict.fromkeys(ATTRIBUTES, pl.String),
}


def person(chance: random.Random) -> Profile:
    town = chance.randrange(len(TOWNS))
    return {
        "given_name": (chance.choice(_FIRST) + chance.choice(_LAST)).capitalize(),
        "family_name": (chance.choice(_STEMS) + chance.choice(_ENDS)).capitalize(),
        "birth_date": dt.date(1940, 1, 1) + dt.timedelta(days=chance.randrange(24_000)),
        "street": f"{chance.choice(_STEMS)}{chance.choice(('straße', 'weg', 'gasse'))}".capitalize(),
        "house_number": str(chance.randrange(1, 120)),
        "postal_code": f"{chance.randrange(60) * 17 + town * 1000 + 10_000}",
        "city": TOWNS[town],
    }


def misspelt(profile: Profile, chance: random.Random) -> Profile:
    """The same person, typed once more: one letter wrong, one field missing."""
    again = dict(profile)
    name = chance.choice(("given_name", "family_name", "street"))
    text, place = again[name], chance.randrange(1, len(again[name]) - 1)
    again[name] = text[:place] + chance.choice("aeinrst") + text[place + 1 :]
    again[chance.choice(("house_number", "city", "street", "birth_date"))] = None
    return again


def register(people: int, twice: int, seed: int = 1) -> tuple[list[Profile], set[frozenset[str]]]:
    """Profiles p0, p1, … of people, the first of whom have a second one q0, q1, …; and the true pairs."""
    chance = random.Random(seed)
    first = [person(chance) for _ in range(people)]
    profiles = [{**profile, "record_id": f"crm:p{i}"} for i, profile in enumerate(first)]
    profiles += [{**misspelt(first[i], chance), "record_id": f"crm:q{i}"} for i in range(twice)]
    return profiles, {frozenset((f"crm:p{i}", f"crm:q{i}")) for i in range(twice)}


def as_frame(profiles: Iterable[Profile]) -> pl.DataFrame:
    rows = [{name: profile.get(name) for name in SCHEMA} for profile in profiles]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def prepared(profiles: Iterable[Profile], secret: bytes = SECRET) -> duckdb.DuckDBPyConnection:
    """A connection with ``profiles`` in comparable form."""
    connection = duckdb.connect(":memory:", config={"threads": 2})
    connection.register("frame", as_frame(profiles).to_arrow())
    connection.execute("CREATE TABLE attributes AS FROM frame")
    prepare_profiles(connection, "attributes")
    define_keyed_hash(connection, secret)
    return connection


def match(
    profiles: Sequence[Profile], policy: LinkagePolicy | None = None, model: Model | None = None
) -> tuple[Found, list[str]]:
    """What linkage finds, and the ids of the profiles by their numbers."""
    connection = prepared(profiles)
    policy = policy or load_policy()
    found = find_links(connection, policy, None, compare(connection, policy, model) if model else None)
    ids = [row[0] for row in connection.execute("SELECT record_id FROM profiles ORDER BY uid").fetchall()]
    return found, ids


def joined(found: Found, ids: Sequence[str]) -> set[frozenset[str]]:
    """Every pair that ended in one cluster."""
    members: dict[int, list[str]] = {}
    for number, cluster in enumerate(found.cluster.tolist()):
        members.setdefault(cluster, []).append(ids[number])
    return {frozenset((a, b)) for group in members.values() for a in group for b in group if a < b}


# 400 profiles of 300 people.
PROFILES, _ = register(300, 100)


def trained(profiles: Sequence[Profile], secret: bytes = SECRET) -> Model:
    """A model of some profiles."""
    policy = load_policy()
    connection = prepared(profiles, secret)
    columns = usable_columns(connection, policy)
    rules = choose_rules(connection, columns, len(profiles), policy)
    block(connection, [rule.keys for rule in rules])
    return train(connection, columns, rules, len(profiles), policy)
