"""Which pairs are looked at: rules chosen by counting, so that no data needs rules of its own."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import duckdb

from transforms.linkage.policy import LinkagePolicy
from transforms.linkage.roles import BLOCKING_KEYS, ROLES
from transforms.sql import columns, identifier, literal

_AT_ONCE = 32
"""Rules that one statement counts."""
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
    connection: duckdb.DuckDBPyConnection, filled: Collection[str], profiles: int, policy: LinkagePolicy
) -> list[Rule]:
    """Rules for the columns at hand, the fewest pairs first.

    A key that brings few pairs is a rule by itself; keys that bring too many are combined by two, of different
    columns. Rules are taken as long as the pairs of all of them stay within the budget.
    """
    keys = [key for key, roles in BLOCKING_KEYS.items() if set(roles.split()) <= {*filled}]
    _hash_keys(connection, keys)
    most = policy.pairs_per_profile * profiles
    singles = _counted(connection, [(key,) for key in keys])
    rules = [rule for rule in singles if 0 < rule.pairs <= most]
    alone = {rule.keys[0] for rule in rules}
    empty = {rule.keys[0] for rule in singles if not rule.pairs}
    # What one key brings alone, it needs no second one for.
    lacking = [key for key in keys if key not in alone | empty]
    doubles = [pair for pair in combinations(lacking, 2) if len(Rule(pair, 0).roles) == _roles(pair)]
    rules += [rule for rule in _counted(connection, doubles) if 0 < rule.pairs <= most]
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


def _counted(connection: duckdb.DuckDBPyConnection, rules: Sequence[Sequence[str]]) -> list[Rule]:
    """Rules with the number of pairs that each brings, those of two rules in both."""
    counts = [
        f"SELECT {number} AS rule, coalesce(CAST(sum(n * (n - 1) / 2) AS BIGINT), 0) AS pairs"
        f" FROM (SELECT count(*) AS n FROM profile_keys"
        f" WHERE {' AND '.join(f'{identifier(key)} IS NOT NULL' for key in keys)} GROUP BY {columns(list(keys))})"
        for number, keys in enumerate(rules)
    ]
    pairs: list[int] = []
    # Of many small statements half the time is the statement's own.
    for start in range(0, len(counts), _AT_ONCE):
        rows = connection.execute(" UNION ALL ".join(counts[start : start + _AT_ONCE]) + " ORDER BY rule").fetchall()
        pairs += [found for _, found in rows]
    return [Rule(tuple(keys), found) for keys, found in zip(rules, pairs, strict=True)]


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
    return sum(rule.pairs for rule in _counted(connection, rules))


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
