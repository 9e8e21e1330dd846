from __future__ import annotations

import json

import pytest

from transforms.linkage.blocking import choose_rules, training_rules
from transforms.linkage.model import Model, train, usable_columns
from transforms.linkage.policy import LinkagePolicy, load_policy

from .register import prepared, register

POLICY = load_policy()


@pytest.fixture(scope="module")
def model() -> Model:
    profiles, _ = register(300, 100)
    connection = prepared(profiles)
    columns = usable_columns(connection, POLICY)
    return train(connection, columns, choose_rules(connection, columns, len(profiles), POLICY), len(profiles), POLICY)


def test_columns_are_those_that_the_profiles_fill(model: Model) -> None:
    assert model.columns == ("given", "family", "born", "street", "house_number", "postal_code", "city")


def test_shares_of_a_comparison_add_up(model: Model) -> None:
    for name, shares in model.shares.items():
        assert sum(m for m, _ in shares) == pytest.approx(1, abs=1e-6), name
        assert sum(u for _, u in shares) == pytest.approx(1, abs=1e-6), name


def test_what_agrees_more_tells_more(model: Model) -> None:
    for name, shares in model.shares.items():
        (m_equal, u_equal), (m_else, u_else) = shares[0], shares[-1]
        assert m_equal / u_equal > 5 > 1 > m_else / u_else, name


def test_a_model_survives_its_file(model: Model) -> None:
    again = Model.from_json(model.to_json())
    assert again == model
    assert again.version == model.version


def test_a_model_that_was_changed_by_hand_is_refused(model: Model) -> None:
    content = json.loads(model.to_json())
    content["comparisons"]["given"][0]["m"] = 0.5
    with pytest.raises(ValueError, match="it was changed"):
        Model.from_json(json.dumps(content))


def test_a_model_of_other_levels_is_refused(model: Model) -> None:
    content = json.loads(model.to_json())
    content["comparisons"]["given"][0]["level"] = "the same"
    with pytest.raises(ValueError, match="'given' are not those of this release"):
        Model.from_json(json.dumps(content))


def test_a_model_fits_its_columns_and_its_policy_alone(model: Model) -> None:
    assert model.fits(model.columns, POLICY)
    assert not model.fits((*model.columns, "email"), POLICY)
    assert not model.fits(model.columns, POLICY.model_copy(update={"version": POLICY.version + 1}))


def test_few_profiles_leave_the_model_where_it_was_before_any_data() -> None:
    profiles, _ = register(4, 1)
    connection = prepared(profiles)
    columns = usable_columns(connection, POLICY)
    model = train(connection, columns, choose_rules(connection, columns, 5, POLICY), 5, POLICY)
    prior = {level.label: level.m for role in model.roles if role.name == "born" for level in role.levels}
    assert model.shares["born"][0][0] == pytest.approx(prior["equal"], abs=0.15)


def test_rules_stay_within_the_budget() -> None:
    profiles, _ = register(300, 100)
    connection = prepared(profiles)
    columns = usable_columns(connection, POLICY)
    tight = POLICY.model_copy(update={"max_pairs": 500})
    rules = choose_rules(connection, columns, len(profiles), tight)
    assert rules and sum(rule.pairs for rule in rules) <= 500
    for rule in rules:
        keys = ", ".join(rule.keys)
        present = " AND ".join(f"{key} <> ''" for key in rule.keys)
        sizes = connection.sql(f"SELECT count(*) FROM profiles WHERE {present} GROUP BY {keys}").fetchall()
        assert rule.pairs == sum(n * (n - 1) // 2 for (n,) in sizes)


def test_no_training_on_pairs_that_share_a_household_alone() -> None:
    profiles, _ = register(300, 100)
    connection = prepared(profiles)
    columns = usable_columns(connection, POLICY)
    chosen = training_rules(choose_rules(connection, columns, len(profiles), POLICY), columns, POLICY)
    assert chosen
    assert all(rule.roles & {"given", "born"} for rule in chosen)


def test_a_policy_out_of_order_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be above least_probability"):
        LinkagePolicy.model_validate({**POLICY.model_dump(), "loose_probability": 0.6})
