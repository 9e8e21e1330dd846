from __future__ import annotations

from transforms.linkage.blocking import choose_rules, training_rules
from transforms.linkage.model import usable_columns
from transforms.linkage.policy import load_policy

from .register import prepared, register

POLICY = load_policy()


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
