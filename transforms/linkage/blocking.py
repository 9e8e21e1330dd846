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
    _hash_keys(connection, keys)
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


def _hash_keys(connection: duckdb.DuckDBPyConnection, keys: Iterable[str]) -> None:
    """Make ``profile_keys``: ``uid``, and of each key a 64-bit hash, null where a profile has nothing there.

    Dozens of rules group and join by them, which takes half as long by numbers. That two texts of a million share a
    hash is a chance of one in thirty million, and would bring a pair more to look at.
    """
    hashes = ", ".join(f"CASE WHEN {key} <> '' THEN hash({key}) END AS {identifier(key)}" for key in keys)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE profile_keys AS SELECT uid, {hashes} FROM profiles")


def _count(connection: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> int:
    columns = [identifier(key) for key in keys]
    held = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    rows = connection.execute(f"""
        SELECT coalesce(CAST(sum(n * (n - 1) / 2) AS BIGINT), 0)
        FROM (SELECT count(*) AS n FROM profile_keys WHERE {held} GROUP BY {", ".join(columns)})
    """).fetchall()
    return rows[0][0]


def block(connection: duckdb.DuckDBPyConnection, rules: Sequence[Sequence[str]], changed: str | None = None) -> int:
    """Make ``candidates`` (join_key_l, join_key_r, match_key): every pair that some rule brings, once.

    :param rules: keys of each.
    :param changed: table of the rows of ``profiles`` of which a pair must hold one; all pairs without it.
    :return: number of pairs.
    """
    _hash_keys(connection, _keys_of(rules))
    first, order = ("profile_keys", "l.uid < r.uid")
    if changed is not None:
        first = f"(FROM profile_keys WHERE uid IN (SELECT uid FROM {identifier(changed)}))"
        order = "l.uid <> r.uid"
    # Splink asks of each pair whether an earlier rule has it, which takes ten times as long with forty rules.
    found = " UNION ALL ".join(
        f"SELECT least(l.uid, r.uid) AS join_key_l, greatest(l.uid, r.uid) AS join_key_r"
        f" FROM {first} l JOIN profile_keys r ON "
        + " AND ".join(f"l.{identifier(key)} = r.{identifier(key)}" for key in rule)
        + f" AND {order}"
        for rule in rules
    )
    connection.execute(f"""
        CREATE OR REPLACE TABLE candidates AS
        SELECT DISTINCT join_key_l, join_key_r, {literal("0")} AS match_key FROM ({found})
    """)
    return connection.execute("SELECT count(*) FROM candidates").fetchall()[0][0]


def count_pairs(connection: duckdb.DuckDBPyConnection, rules: Sequence[Sequence[str]]) -> int:
    """Number of pairs that rules bring; those of two rules count twice."""
    _hash_keys(connection, _keys_of(rules))
    return sum(_count(connection, rule) for rule in rules)


def _keys_of(rules: Iterable[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(key for rule in rules for key in rule))


def most_pairs(profiles: int, policy: LinkagePolicy) -> int:
    """The budget of pairs of all rules."""
    return min(policy.pairs_per_profile_in_all * profiles, policy.max_pairs)


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
