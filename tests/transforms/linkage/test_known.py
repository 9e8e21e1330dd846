from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np
import pytest

from transforms.linkage.blocking import block, choose_rules
from transforms.linkage.find import find_links
from transforms.linkage.known import known_matches
from transforms.linkage.model import Model, usable_columns
from transforms.linkage.policy import load_policy
from transforms.linkage.roles import ROLES
from transforms.linkage.training import train

from .register import Profile, joined, prepared, register
from .test_anchor import namesakes

POLICY = load_policy()


def numbers(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Number of each profile, by the end of its id."""
    rows = connection.execute("SELECT record_id, uid FROM profiles").fetchall()
    return {record.partition(":")[2]: number for record, number in rows}


def known(connection: duckdb.DuckDBPyConnection, people: Sequence[int]) -> np.ndarray:
    """Groups of which p and q of some people are one each."""
    number = numbers(connection)
    together = np.full(len(number), -1, dtype=np.int32)
    for person in people:
        together[[number[f"p{person}"], number[f"q{person}"]]] = person
    return together


def trained_with(profiles: Sequence[Profile], people: Sequence[int]) -> Model:
    connection = prepared(profiles)
    columns = usable_columns(connection, POLICY)
    rules = choose_rules(connection, columns, len(profiles), POLICY)
    block(connection, [rule.keys for rule in rules])
    return train(connection, columns, rules, len(profiles), POLICY, known(connection, people))


def of_level(model: Model, role: str, label: str) -> float:
    """Share of matches that fall into a level."""
    [levels] = [r.levels for r in ROLES if r.name == role]
    return dict(zip((level.label for level in levels), model.shares[role], strict=True))[label][0]


def test_how_matches_agree_is_counted_over_those_who_are_known() -> None:
    """Half of the known have another birth date, as hardly any match has: that is what the counting has to show."""
    profiles, _ = register(1000, 400)
    by_id = {profile["record_id"]: profile for profile in profiles}
    for person in range(0, 400, 2):
        by_id[f"crm:q{person}"]["birth_date"] = by_id[f"crm:p{999 - person}"]["birth_date"]
    every, other = trained_with(profiles, range(400)), trained_with(profiles, range(1, 400, 2))
    assert (every.trained_on["known_matches"], other.trained_on["known_matches"]) == (400, 200)
    assert of_level(every, "born", "equal") == pytest.approx(0.43, abs=0.05)  # a quarter of the others have lost theirs
    assert of_level(other, "born", "equal") > 0.9


def test_few_who_are_known_teach_nothing() -> None:
    profiles, _ = register(600, 300)
    model = trained_with(profiles, range(POLICY.known_matches - 1))
    assert "known_matches" not in model.trained_on
    assert model.trained_on["expected_matches"] > 0
    assert model == trained_with(profiles, ())


def test_what_joins_profiles_is_not_learned_from_those_it_has_joined() -> None:
    profiles, _ = register(1000, 300)
    for profile in profiles:
        profile["email"] = f"{profile['record_id'].partition(':')[2].strip('pq')}@example.com"
    model = trained_with(profiles, range(300))
    assert of_level(model, "email", "equal") < 0.7


def test_each_profile_is_paired_with_the_next_of_its_group_and_the_others_are_open() -> None:
    profiles, _ = register(10, 5)
    connection = prepared(profiles)
    connection.execute(
        "CREATE TABLE candidates AS FROM (VALUES (0, 2), (0, 3), (4, 5), (6, 7)) k (join_key_l, join_key_r)"
    )
    together = np.array([0, 0, 0, 1, -1, -1, 2, 2, -1, -1, -1, -1, -1, -1, -1], dtype=np.int32)
    roles = [role for role in ROLES if role.name in usable_columns(connection, POLICY)]
    pairs, counted = known_matches(connection, roles, together)
    assert pairs == sum(counted["given"]) == 3
    assert connection.execute("FROM open_pairs ORDER BY ALL").fetchall() == [(0, 3), (4, 5)]
    nobody, nothing = known_matches(connection, roles, np.full(15, -1, dtype=np.int32))
    assert (nobody, sum(nothing["given"])) == (0, 0)


def test_namesakes_of_a_town_are_not_taken_for_one_person_where_some_are_known() -> None:
    """Who is listed twice is found among two thousand namesakes, by what those who are known have taught."""
    profiles = namesakes()
    extra, _ = register(POLICY.known_matches, POLICY.known_matches, seed=11)
    for profile in extra:
        profile["record_id"] = profile["record_id"].replace("p", "px").replace("q", "qx")
    connection = prepared([*profiles, *extra])
    number = numbers(connection)
    together = np.full(len(number), -1, dtype=np.int32)
    for person in range(POLICY.known_matches):
        together[[number[f"px{person}"], number[f"qx{person}"]]] = person
    found = find_links(connection, POLICY, together)
    assert found.model
    assert found.model.trained_on["known_matches"] == POLICY.known_matches
    ids = [row[0] for row in connection.execute("SELECT record_id FROM profiles ORDER BY uid").fetchall()]
    pairs = {pair for pair in joined(found, ids) if not any("x" in record for record in pair)}
    right = {frozenset((f"crm:p{person}", f"crm:q{person}")) for person in range(60)}
    assert len(pairs - right) <= 0.1 * len(pairs)
    assert len(pairs & right) >= 30
