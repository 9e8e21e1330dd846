"""Failure cases of matching, planted in one register of people who have nothing to do with them."""

from __future__ import annotations

import datetime as dt
import random

import numpy as np
import pytest

from transforms.linkage.find import Found
from transforms.linkage.policy import load_policy

from .register import Profile, joined, match, misspelt, person, register

HOME = {"street": "Mühlenweg", "house_number": "7", "postal_code": "48143", "city": "Münster"}
AWAY = {"street": "Am Hafen", "house_number": "91", "postal_code": "20457", "city": "Hamburg"}
BORN = dt.date(1984, 5, 3)
PLANTED: dict[str, Profile] = {
    # Twins: all is equal but the given name.
    "twin_a": {"given_name": "Marlene", "family_name": "Vossberg", "birth_date": BORN, **HOME},
    "twin_b": {"given_name": "Clemens", "family_name": "Vossberg", "birth_date": BORN, **HOME},
    # Parent and child: all is equal but the birth date.
    "father": {"given_name": "Konrad", "family_name": "Tillmanns", "birth_date": dt.date(1951, 2, 8), **AWAY},
    "son": {"given_name": "Konrad", "family_name": "Tillmanns", "birth_date": dt.date(1982, 11, 30), **AWAY},
    # A couple: all is equal but given name and birth date.
    "wife": {"given_name": "Yvonne", "family_name": "Kestner", "birth_date": dt.date(1979, 7, 1), **HOME},
    "husband": {"given_name": "Rainer", "family_name": "Kestner", "birth_date": dt.date(1976, 4, 22), **HOME},
    # One person each, in two forms.
    "exchanged_a": {"given_name": "Wendelin", "family_name": "Okonjo", "birth_date": BORN, **AWAY},
    "exchanged_b": {"given_name": "Okonjo", "family_name": "Wendelin", "birth_date": BORN, **AWAY},
    "day_month_a": {"given_name": "Elfriede", "family_name": "Sandkamp", "birth_date": dt.date(1967, 3, 9), **HOME},
    "day_month_b": {"given_name": "Elfriede", "family_name": "Sandkamp", "birth_date": dt.date(1967, 9, 3), **HOME},
    "accents_a": {"given_name": "Zoë", "family_name": "Grünwaldt", "birth_date": dt.date(1958, 12, 6), **AWAY},
    "accents_b": {"given_name": "ＺＯＥ", "family_name": "GRUNWALDT", "birth_date": dt.date(1958, 12, 6), **AWAY},
    "han": {"full_name": "欧阳明珠", "birth_date": dt.date(1990, 8, 14), **AWAY},
    "traditional": {"full_name": "歐陽明珠", "birth_date": dt.date(1990, 8, 14), **AWAY},
    "pinyin": {"given_name": "Mingzhu", "family_name": "Ouyang", "birth_date": dt.date(1990, 8, 14), **AWAY},
    # A masked name without anything beside it, twice, and one that is not masked.
    "masked_a": {"full_name": "张**"},
    "masked_b": {"full_name": "张**"},
    "unmasked": {"full_name": "张伟"},
    # Blanks.
    "blank_a": {"given_name": "", "family_name": " "},
    "blank_b": {"given_name": "", "family_name": " "},
}


@pytest.fixture(scope="module")
def profiles() -> list[Profile]:
    people, _ = register(400, 150)
    return people + [{**profile, "record_id": f"planted:{name}"} for name, profile in PLANTED.items()]


@pytest.fixture(scope="module")
def outcome(profiles: list[Profile]) -> tuple[Found, list[str]]:
    return match(profiles)


@pytest.fixture(scope="module")
def pairs(outcome: tuple[Found, list[str]]) -> set[frozenset[str]]:
    return joined(*outcome)


def planted(one: str, other: str) -> frozenset[str]:
    return frozenset((f"planted:{one}", f"planted:{other}"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("twin_a", "twin_b"),
        ("father", "son"),
        ("wife", "husband"),
        ("masked_a", "masked_b"),
        ("masked_a", "unmasked"),
        ("blank_a", "blank_b"),
    ],
)
def test_who_only_looks_like_one_person_stays_two(one: str, other: str, pairs: set[frozenset[str]]) -> None:
    assert planted(one, other) not in pairs


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("exchanged_a", "exchanged_b"),
        ("day_month_a", "day_month_b"),
        ("accents_a", "accents_b"),
        ("han", "traditional"),
        ("han", "pinyin"),
    ],
)
def test_one_person_in_two_forms_is_found(one: str, other: str, pairs: set[frozenset[str]]) -> None:
    assert planted(one, other) in pairs


def test_people_with_two_profiles_are_found_and_nobody_else_is(pairs: set[frozenset[str]]) -> None:
    _, true = register(400, 150)
    found = {pair for pair in pairs if all(name.startswith("crm:") for name in pair)}
    assert len(found & true) >= 0.97 * len(true)
    assert len(found - true) <= 0.01 * len(true)


def test_the_order_of_rows_does_not_matter(profiles: list[Profile], outcome: tuple[Found, list[str]]) -> None:
    shuffled = random.Random(5).sample(profiles, len(profiles))
    again, ids = match(shuffled)
    found, first = outcome
    assert ids == first
    assert again.model == found.model
    assert np.array_equal(again.cluster, found.cluster)
    assert np.array_equal(again.probability, found.probability)


def test_a_register_without_doubles_has_no_links() -> None:
    people, _ = register(400, 0, seed=11)
    found, ids = match(people)
    assert joined(found, ids) == set()
    assert found.model is not None and found.model.rates.matches < 1e-5


def test_a_large_component_is_capped(profiles: list[Profile]) -> None:
    policy = load_policy().model_copy(update={"loose_probability": 1e-6, "largest_component": 3})
    found, _ = match(profiles, policy)
    assert np.bincount(found.cluster).max() <= 3


@pytest.mark.parametrize(
    "profiles",
    [
        [],
        [{"record_id": "crm:1", "given_name": "Ada", "family_name": "Lovelace"}],
        [{"record_id": f"crm:{i}", "city": f"Town {i % 3}", "street": f"Road {i % 5}"} for i in range(50)],
    ],
    ids=["nobody", "one profile", "addresses alone"],
)
def test_what_cannot_tell_people_apart_links_nobody(profiles: list[Profile]) -> None:
    found, ids = match(profiles)
    assert joined(found, ids) == set()
    assert found.reason


@pytest.mark.parametrize(
    "kept", [("given_name", "family_name"), ("given_name", "family_name", "city"), ("birth_date", "city")]
)
def test_few_columns_are_enough_to_run_and_too_few_to_join_strangers(kept: tuple[str, ...]) -> None:
    people, true = register(300, 100)
    found, ids = match([{name: profile[name] for name in ("record_id", *kept)} for profile in people])
    assert found.reason is None
    assert len(joined(found, ids) - true) <= 10


@pytest.mark.parametrize("twins", [0, 10])
def test_whether_another_given_name_is_another_person_is_learned(twins: int) -> None:
    # Ids tell mistakes in names from twins: where there are no twins, who has both mistyped is found by all the rest.
    chance = random.Random(3)
    people = [{**person(chance), "national_id": _number(chance)} for _ in range(1000)]
    profiles = [{**somebody, "record_id": f"crm:p{i}"} for i, somebody in enumerate(people)]
    both = set()
    for i in range(500):
        again = misspelt(people[i], chance)
        is_renamed, is_renumbered = chance.random() < 0.1, chance.random() < 0.1
        if is_renamed:
            again["given_name"] = person(chance)["given_name"]
        if is_renumbered:
            again["national_id"] = _number(chance)
        if is_renamed and is_renumbered and again["birth_date"]:
            both.add(frozenset((f"crm:p{i}", f"crm:q{i}")))
        profiles.append({**again, "record_id": f"crm:q{i}"})
    for i in range(500, 500 + twins):
        other = {"given_name": person(chance)["given_name"], "national_id": _number(chance)}
        profiles.append({**people[i], **other, "record_id": f"crm:t{i}"})

    found = joined(*match(profiles))

    assert len(both) == 3
    assert not {pair for pair in found if any(":t" in record for record in pair)}
    if not twins:
        assert both <= found


def _number(chance: random.Random) -> str:
    return str(chance.randrange(10**8, 10**9))
