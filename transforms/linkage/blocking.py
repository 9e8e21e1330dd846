"""Which pairs are looked at: rules chosen by counting, so that no data needs rules of its own."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import duckdb

from transforms.linkage.policy import LinkagePolicy
from transforms.linkage.roles import BLOCKING_KEYS, ROLES
from transforms.sql import identifier, literal

_OF_HOUSEHOLDS = {role.name for role in ROLES if "household" in role.shared_by}


@dataclass(frozen=True)
class Rule:
    """Pairs that agree on all of some SQL expressions, and how many these are."""

    keys: tuple[str, ...]
    pairs: int

    @property
    def roles(self) -> frozenset[str]:
        """Columns of evidence that the rule leans on."""
        return frozenset(role for key in self.keys for role in BLOCKING_KEYS[key].split())


def choose_rules(
    connection: duckdb.DuckDBPyConnection, columns: Collection[str], profiles: int, policy: LinkagePolicy
) -> list[Rule]:
    """Rules for the columns at hand, the fewest pairs first.

    A key that brings few pairs is a rule by itself; keys that bring too many are combined by two, of different
    columns. Rules are taken as long as the pairs of all of them stay within the budget.
    """
    keys = [key for key, roles in BLOCKING_KEYS.items() if set(roles.split()) <= {*columns}]
    most = policy.pairs_per_profile * profiles
    singles = [Rule((key,), _count(connection, (key,))) for key in keys]
    rules = [rule for rule in singles if 0 < rule.pairs <= most]
    alone = {rule.keys[0] for rule in rules}
    empty = {rule.keys[0] for rule in singles if not rule.pairs}
    for pair in combinations(keys, 2):
        rule = Rule(pair, 0)
        # What one key brings alone, it needs no second one for.
        if alone.isdisjoint(pair) and empty.isdisjoint(pair) and len(rule.roles) == _roles(pair):
            counted = Rule(pair, _count(connection, pair))
            if 0 < counted.pairs <= most:
                rules.append(counted)
    rules.sort(key=lambda rule: (rule.pairs, rule.keys))
    return _within(rules, most_pairs(profiles, policy))


def _roles(keys: Sequence[str]) -> int:
    return sum(len(BLOCKING_KEYS[key].split()) for key in keys)


def _within(rules: Sequence[Rule], budget: int) -> list[Rule]:
    taken: list[Rule] = []
    for rule in rules:
        budget -= rule.pairs
        if budget < 0:
            break
        taken.append(rule)
    return taken


def _count(connection: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> int:
    held = " AND ".join(f"{key} <> ''" for key in keys)
    rows = connection.execute(f"""
        SELECT coalesce(CAST(sum(n * (n - 1) / 2) AS BIGINT), 0)
        FROM (SELECT count(*) AS n FROM profiles WHERE {held} GROUP BY {", ".join(keys)})
    """).fetchall()
    return rows[0][0]


def block(connection: duckdb.DuckDBPyConnection, rules: Iterable[Sequence[str]], changed: str | None = None) -> int:
    """Make ``candidates`` (join_key_l, join_key_r, match_key): every pair that some rule brings, once.

    :param rules: keys of each.
    :param changed: table of the rows of ``profiles`` of which a pair must hold one; all pairs without it.
    :return: number of pairs.
    """
    first, order = ("profiles", "l.uid < r.uid") if changed is None else (changed, "l.uid <> r.uid")
    # Splink asks of each pair whether an earlier rule has it, which takes ten times as long with forty rules.
    found = " UNION ALL ".join(
        f"SELECT least(l.uid, r.uid) AS join_key_l, greatest(l.uid, r.uid) AS join_key_r"
        f" FROM {identifier(first)} l JOIN profiles r ON "
        + " AND ".join(f"{_of('l', key)} = {_of('r', key)} AND {_of('l', key)} <> ''" for key in rule)
        + f" AND {order}"
        for rule in rules
    )
    connection.execute(f"""
        CREATE OR REPLACE TABLE candidates AS
        SELECT DISTINCT join_key_l, join_key_r, {literal("0")} AS match_key FROM ({found})
    """)
    return connection.execute("SELECT count(*) FROM candidates").fetchall()[0][0]


def count_pairs(connection: duckdb.DuckDBPyConnection, rules: Iterable[Sequence[str]]) -> int:
    """Number of pairs that rules bring; those of two rules count twice."""
    return sum(_count(connection, rule) for rule in rules)


def most_pairs(profiles: int, policy: LinkagePolicy) -> int:
    """The budget of pairs of all rules."""
    return min(policy.pairs_per_profile_in_all * profiles, policy.max_pairs)


def _of(side: str, key: str) -> str:
    """A key's expression over one side of a join."""
    function, bracket, rest = key.rpartition("(")
    return f"{function}{bracket}{side}.{rest}"


def training_rules(rules: Sequence[Rule], columns: Collection[str], policy: LinkagePolicy) -> list[Rule]:
    """Rules to train the model on: those with the most pairs within the budget that lean on different columns.

    What a session blocks on it cannot learn, so two that lean on different columns teach it all. Pairs that share
    only what a household shares are left out: there are more households than people with two profiles, and a model
    that learned from them would find households. So are rules that leave no comparison to learn.
    """
    chosen: list[Rule] = []
    used: frozenset[str] = frozenset()
    for rule in sorted(rules, key=lambda rule: (-rule.pairs, rule.keys)):
        if rule.roles <= _OF_HOUSEHOLDS or not _taught(rule, columns):
            continue
        if rule.pairs <= policy.training_pairs and not used & rule.roles and len(chosen) < policy.training_rules:
            chosen.append(rule)
            used |= rule.roles
    return chosen


def _taught(rule: Rule, columns: Collection[str]) -> int:
    """Number of comparisons that use none of the columns that a rule blocks on."""
    blocked = {word for key in rule.keys for word in re.findall(r"[a-z_]+", key)}
    return sum(
        role.name in columns
        and not any(re.search(rf"\b{column}_[lr]\b", level.condition) for level in role.levels for column in blocked)
        for role in ROLES
    )
