from __future__ import annotations

import datetime as dt
import random
from collections import Counter

import numpy as np
import pytest

from transforms.linkage.anchor import _weigh, count_patterns, find_anchor
from transforms.linkage.blocking import block, choose_rules
from transforms.linkage.model import Model, usable_columns
from transforms.linkage.pairs import Scorer
from transforms.linkage.policy import load_policy
from transforms.linkage.roles import ROLES

from .register import PROFILES, TOWNS, Profile, joined, match, misspelt, prepared, trained

POLICY = load_policy()
GIVEN = ("Anna", "Bruno", "Clara", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Klara", "Leon")
FAMILY = ("Bauer", "Fischer", "Hahn", "Klein", "Krause", "Lang", "Meier", "Neumann", "Otto", "Schulz", "Vogel", "Wolf")
TWICE = 60


def namesakes(people: int = 2000) -> list[Profile]:
    """A register of few names and few towns, in which nearly everybody has namesakes in town and few are twice."""
    chance = random.Random(5)
    profiles = []
    for number in range(people):
        town = chance.randrange(4)
        born = dt.date(1940, 1, 1) + dt.timedelta(days=chance.randrange(24_000))
        profiles.append(
            {
                "record_id": f"crm:p{number}",
                "given_name": chance.choice(GIVEN),
                "family_name": chance.choice(FAMILY),
                "birth_date": born,
                "postal_code": f"{town + 1}0{chance.randrange(300):03}",
                "city": TOWNS[town],
            }
        )
    again = [
        {**misspelt({**profile, "street": "Hof"}, chance), "street": None, "record_id": f"crm:q{number}"}
        for number, profile in enumerate(profiles[:TWICE])
    ]
    return [*profiles, *again]


@pytest.fixture(scope="module")
def few_twice() -> Model:
    return trained(namesakes())


def test_as_many_matches_are_expected_as_there_are_people_listed_twice(model: Model, few_twice: Model) -> None:
    assert model.trained_on["expected_matches"] == pytest.approx(100, rel=0.1)
    assert few_twice.trained_on["expected_matches"] == pytest.approx(TWICE, rel=0.35)


def test_namesakes_in_one_town_are_not_taken_for_one_person(few_twice: Model) -> None:
    born = dict(zip((level.label for level in few_twice.roles[2].levels), few_twice.shares["born"], strict=True))
    assert few_twice.roles[2].name == "born"
    assert born["equal"][0] > 0.7
    assert born["different"][0] < 0.1


def test_few_links_of_many_namesakes_are_wrong() -> None:
    found, ids = match(namesakes())
    pairs = joined(found, ids)
    right = {frozenset((f"crm:p{number}", f"crm:q{number}")) for number in range(TWICE)}
    assert len(pairs - right) <= 0.1 * len(pairs)
    assert len(pairs & right) >= 0.5 * TWICE


def test_patterns_are_counted_by_the_levels_of_the_comparisons() -> None:
    profiles: list[Profile] = [
        {"record_id": "crm:1", "given_name": "Anna", "family_name": "Bauer", "birth_date": dt.date(1980, 1, 2)},
        {"record_id": "crm:2", "given_name": "Anna", "family_name": "Bauer", "birth_date": dt.date(1980, 1, 2)},
        {"record_id": "crm:3", "given_name": "Anna", "family_name": "Vogel"},
    ]
    connection = prepared(profiles)
    block(connection, [["given_latin"]])
    roles = [role for role in ROLES if role.name in ("given", "family", "born")]
    patterns = count_patterns(connection, roles, 100)
    different = len(roles[1].levels) - 1
    assert dict(zip(map(tuple, patterns.levels.tolist()), patterns.pairs.tolist(), strict=True)) == {
        (0, 0, 0): 1,
        (0, different, -1): 2,
    }


def test_of_many_candidates_a_share_stands_for_all_whatever_their_order() -> None:
    counted = []
    for profiles in (PROFILES, PROFILES[::-1]):
        connection = prepared(profiles)
        columns = usable_columns(connection, POLICY)
        pairs = block(connection, [r.keys for r in choose_rules(connection, columns, len(profiles), POLICY)])
        roles = [role for role in ROLES if role.name in columns]
        patterns = count_patterns(connection, roles, pairs // 3)
        assert patterns.pairs.sum() == pytest.approx(pairs, rel=0.05)
        counted.append(Counter(dict(zip(map(tuple, patterns.levels.tolist()), patterns.pairs.tolist(), strict=True))))
    assert counted[0] == counted[1]


def test_the_anchor_and_the_scorer_agree_on_strangers_of_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """That names agree and addresses are alike, the one tells of patterns, in NumPy, the other of pairs, in SQL."""
    monkeypatch.setattr("transforms.linkage.pairs._LEAST_WEIGHT", -1000.0)  # it is to keep what is unlikely, too
    profiles = namesakes()
    for number, profile in enumerate(profiles):
        name = f"{profile['given_name']}.{profile['family_name']}".lower()
        profile["email"] = f"{name}{number if number % 3 else ''}@example.com" if number % 5 else None
    model = trained(profiles)
    connection = prepared(profiles)
    block(connection, model.rules)
    pairs = Scorer(connection, model).candidates()
    scored = Counter(np.round(pairs.weight - pairs.by_name, 6)[pairs.is_named].tolist())

    patterns = count_patterns(connection, model.roles, 10**9)
    matches, strangers = (
        [np.array([level[side] for level in model.shares[role.name]]) for role in model.roles] for side in (0, 1)
    )
    evidence = _weigh(patterns, model.roles, matches, strangers, model.rates.lookalikes)
    alike = np.round(evidence.weight - evidence.by_name, 6)
    counted = {float(by): int(patterns.pairs[evidence.is_named & (alike == by)].sum()) for by in np.unique(alike)}
    assert counted == scored
    assert len(counted) > 2 and counted[0.0] > 0


def test_without_candidates_the_anchor_is_what_is_held_true_before_any_data() -> None:
    connection = prepared(PROFILES)
    block(connection, [["phone"]])
    roles = [role for role in ROLES if role.name in ("given", "family", "born")]
    strangers = {role.name: [level.u for level in role.levels] for role in roles}
    anchor = find_anchor(count_patterns(connection, roles, 100), roles, strangers, len(PROFILES), POLICY)
    assert anchor.matches == 0
    for role in roles:
        before = np.array([level.m for level in role.levels])
        assert anchor.shares[role.name] == pytest.approx(before / before.sum())
