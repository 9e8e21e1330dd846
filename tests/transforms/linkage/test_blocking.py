from __future__ import annotations

import pytest

from transforms.linkage.blocking import block, choose_rules, count_pairs, training_rules
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


@pytest.mark.parametrize("changed", [None, "changed"])
def test_a_block_holds_the_pairs_that_agree_on_a_rule(changed: str | None) -> None:
    profiles, _ = register(300, 100)
    connection = prepared(profiles)
    connection.execute("CREATE TABLE changed AS FROM profiles WHERE uid % 7 = 0")
    rules = [("email",), ("left(born, 6)", "family_latin"), ("born", "left(postal_code, 3)")]
    agree = " OR ".join(
        "(" + " AND ".join(f"l.{key} = r.{key} AND l.{key} <> ''" for key in keys) + ")"
        for keys in (("email",), ("born6", "family_latin"), ("born", "code3"))
    )
    every = "SELECT *, left(born, 6) AS born6, left(postal_code, 3) AS code3 FROM profiles"
    least = "l.uid % 7 = 0 OR r.uid % 7 = 0" if changed else "true"
    expected = connection.sql(
        f"SELECT l.uid, r.uid FROM ({every}) l JOIN ({every}) r ON l.uid < r.uid"
        f" AND ({least}) AND ({agree}) ORDER BY ALL"
    ).fetchall()
    assert expected
    assert block(connection, rules, changed) == len(expected)
    found = connection.sql("SELECT join_key_l, join_key_r FROM candidates ORDER BY ALL").fetchall()
    assert found == expected
    if changed is None:
        assert count_pairs(connection, rules) >= len(expected)


def test_no_training_on_pairs_that_share_a_household_alone() -> None:
    profiles, _ = register(300, 100)
    connection = prepared(profiles)
    columns = usable_columns(connection, POLICY)
    chosen = training_rules(choose_rules(connection, columns, len(profiles), POLICY), columns, POLICY)
    assert chosen
    assert all(rule.roles & {"given", "born"} for rule in chosen)
