"""What agreement tells, learned from all candidates at once: the anchor of training by sessions.

Expectation maximisation knows two kinds of pairs. In a register where few are listed twice the larger of them is not
"one person" but "one name in one city", and the maximisation goes there: birth dates then tell nothing, and namesakes
become one. Here it knows lookalikes as well (:mod:`transforms.linkage.rates`), starts where things are held to be
before any data and is drawn back there, and looks at the candidates of all rules, of which no column is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt

from transforms.linkage.policy import LinkagePolicy, Lookalike
from transforms.linkage.rates import Evidence, Floats, expect, rates_before_data
from transforms.linkage.roles import Role
from transforms.sql import identifier

_MOST_ITERATIONS = 200
_SETTLED = 1e-4
_NOTHING = -1


@dataclass(frozen=True)
class Patterns:
    """How candidates agree: of each pattern the level of every role, -1 where nothing was compared, and its pairs."""

    levels: npt.NDArray[np.int8]
    pairs: Floats


@dataclass(frozen=True)
class Anchor:
    """Shares of true matches by comparison and level, and how many matches the candidates hold."""

    shares: dict[str, tuple[float, ...]]
    matches: float


def count_patterns(
    connection: duckdb.DuckDBPyConnection, roles: Sequence[Role], most_pairs: int, table: str = "candidates"
) -> Patterns:
    """Count how pairs agree.

    :param most_pairs: of more pairs than this a share is looked at that does not depend on their order.
    :param table: of the pairs, with the numbers of both profiles.
    """
    [(pairs,)] = connection.execute(f"SELECT count(*) FROM {identifier(table)}").fetchall()
    share = min(1.0, most_pairs / max(pairs, 1))
    columns = [column for (column, *_) in connection.execute("DESCRIBE profiles").fetchall()]
    sides = ", ".join(f"{side}.{column} AS {column}_{side}" for side in "lr" for column in columns)
    levels = ", ".join(f"CAST({_level(role)} AS TINYINT) AS {role.name}" for role in roles)
    names = ", ".join(role.name for role in roles)
    rows = connection.execute(
        f"""
        SELECT {names}, count(*) AS pairs FROM (
            SELECT {levels} FROM (
                SELECT {sides} FROM {identifier(table)} k
                JOIN profiles l ON l.uid = k.join_key_l JOIN profiles r ON r.uid = k.join_key_r
                WHERE hash(l.record_id, r.record_id) % 1000000 < $share
            )
        ) GROUP BY ALL ORDER BY ALL
        """,
        {"share": round(share * 1_000_000)},
    ).fetchnumpy()
    matrix = np.stack([np.asarray(rows[role.name], dtype=np.int8) for role in roles], axis=1)
    return Patterns(matrix, np.asarray(rows["pairs"], dtype=np.float64) / share)


def _level(role: Role) -> str:
    """SQL expression: number of the level that a pair falls into."""
    levels = [(level.condition, number) for number, level in enumerate(role.levels)]
    cases = " ".join(f"WHEN {condition} THEN {number}" for condition, number in levels if condition != "ELSE")
    return f"CASE WHEN {role.missing} THEN {_NOTHING} {cases} ELSE {len(levels) - 1} END"


def find_anchor(
    patterns: Patterns,
    roles: Sequence[Role],
    strangers: Mapping[str, Sequence[float]],
    profiles: int,
    policy: LinkagePolicy,
    known: Mapping[str, Sequence[float]] | None = None,
) -> Anchor:
    """Learn the shares of true matches.

    :param strangers: how often strangers fall into each level, by comparison.
    :param known: shares that stay as they are.
    """
    known = known or {}
    before = [_shares([level.m for level in role.levels]) for role in roles]
    by_chance = [np.asarray(strangers[role.name]) for role in roles]
    shares = [np.asarray(known.get(role.name, prior)) for role, prior in zip(roles, before, strict=True)]
    rates = rates_before_data(profiles, policy)
    matches = 0.0
    is_rated = False
    for _ in range(_MOST_ITERATIONS):
        evidence = _weigh(patterns, roles, shares, by_chance, rates.lookalikes)
        last_shares, last_rates = shares, rates
        rates, match = expect(evidence, rates, profiles, policy, patterns.pairs)
        expected = match * patterns.pairs
        matches = float(expected.sum())
        # First how many there are of each kind: where namesakes are many and taken for few, they pass for matches.
        if is_rated:
            shares = [
                shares[number]
                if role.name in known
                else _shares(_sums(patterns.levels[:, number], expected, len(prior)) + policy.prior_matches * prior)
                for number, (role, prior) in enumerate(zip(roles, before, strict=True))
            ]
        moved = [np.abs(now - then).max() for now, then in zip(shares, last_shares, strict=True)]
        if max(*moved, abs(np.log(rates.matches / last_rates.matches))) < _SETTLED:
            if is_rated:
                break
            is_rated = True
    return Anchor({role.name: tuple(found.tolist()) for role, found in zip(roles, shares, strict=True)}, matches)


def _shares(numbers: Sequence[float] | Floats) -> Floats:
    return np.asarray(numbers, dtype=np.float64) / np.sum(numbers)


def _sums(levels: npt.NDArray[np.int8], pairs: Floats, length: int) -> Floats:
    held = levels != _NOTHING
    return np.bincount(levels[held], weights=pairs[held], minlength=length).astype(np.float64)


def _weigh(
    patterns: Patterns,
    roles: Sequence[Role],
    shares: Sequence[Floats],
    by_chance: Sequence[Floats],
    kinds: Iterable[Lookalike],
) -> Evidence:
    """The evidence of each pattern, as :class:`transforms.linkage.pairs.Scorer` gives it of each pair."""
    # What was not compared, level -1, reads the last entry.
    weights = {
        role.name: np.append(np.log2(m / u), 0.0)[patterns.levels[:, number]]
        for number, (role, m, u) in enumerate(zip(roles, shares, by_chance, strict=True))
    }
    weight = _total(weights.values(), len(patterns.pairs))
    is_named, by_name = np.zeros(len(weight), dtype=bool), weight
    if {"given", "family", "email"} <= set(weights):
        email = patterns.levels[:, [role.name for role in roles].index("email")]
        is_named = (weights["given"] > 0) & (weights["family"] > 0) & (email != _NOTHING)
        by_name = weight - np.where(is_named & (email != 0), np.maximum(weights["email"], 0), 0)
    return Evidence(
        weight=weight,
        unshared={
            kind: _total((weights[role.name] for role in roles if kind not in role.shared_by), len(weight))
            for kind in kinds
        },
        by_name=by_name,
        is_named=is_named,
    )


def _total(weights: Iterable[Floats], length: int) -> Floats:
    return sum(weights, np.zeros(length))
