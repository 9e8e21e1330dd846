"""Training: what agreement tells, learned from the profiles themselves without any label.

Fellegi and Sunter's model (1969), fitted by expectation maximisation in Splink.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import numpy.typing as npt

from transforms.linkage.anchor import count_patterns, find_anchor
from transforms.linkage.blocking import Rule, training_rules
from transforms.linkage.engine import make_linker
from transforms.linkage.frequencies import count_terms, frequency_columns
from transforms.linkage.known import known_matches
from transforms.linkage.model import Model, Shares, key_of
from transforms.linkage.normalise import LINKAGE_NORMALISER_VERSION
from transforms.linkage.policy import LinkagePolicy
from transforms.linkage.rates import rates_before_data
from transforms.linkage.roles import ROLES, Role

if TYPE_CHECKING:
    from splink import Linker

_SMALLEST = 1e-9


def train(
    connection: duckdb.DuckDBPyConnection,
    columns: Sequence[str],
    rules: Sequence[Rule],
    profiles: int,
    policy: LinkagePolicy,
    together: npt.NDArray[np.int32] | None = None,
) -> Model:
    """Learn a model from ``profiles``.

    How often strangers agree comes from all pairs of a fixed sample. How often true matches do is counted over profiles
    that are known to be one person (:mod:`transforms.linkage.known`), where there are enough, and else comes from
    expectation maximisation over the pairs of a few rules. A session that finds more matches than all candidates are
    likely to hold has found something else, and does not count. What few pairs say is drawn towards the anchor
    (:mod:`transforms.linkage.anchor`), and that, as what is counted, towards what is known before any data. The rates
    are those before any data. Needs ``candidates`` and :func:`transforms.identity.keys.define_keyed_hash`.

    :param together: group of each profile that is one person for other reasons, -1 for none.
    """
    prior = {role.name: tuple((level.m, level.u) for level in role.levels) for role in ROLES if role.name in columns}
    strangers, pairs = _strangers(connection, prior, profiles, policy)
    roles = [role for role in ROLES if role.name in columns]
    by_chance = {name: [u for _, u in shares] for name, shares in strangers.items()}
    known, counted = known_matches(connection, roles, together) if together is not None else (0, {})
    if known >= policy.known_matches:
        trained_on = {"known_matches": known}
        matches: dict[str, Sequence[float]] = {
            name: _drawn(found, [m for m, _ in prior[name]], sum(found), policy.prior_matches)
            for name, found in counted.items()
        }
        if len(matches) < len(roles):
            patterns = count_patterns(connection, roles, policy.pattern_pairs, "open_pairs")
            matches = {**find_anchor(patterns, roles, by_chance, profiles, policy, matches).shares, **matches}
    else:
        matches, expected = _found_matches(connection, roles, rules, profiles, strangers, policy)
        trained_on = {"expected_matches": expected}
    return Model(
        columns=tuple(columns),
        rules=tuple(rule.keys for rule in rules),
        shares={
            name: tuple((m, u) for m, (_, u) in zip(matches[name], shares, strict=True))
            for name, shares in strangers.items()
        },
        rates=rates_before_data(profiles, policy),
        frequencies=count_terms(connection, frequency_columns(roles)),
        policy=policy.model_dump(mode="json"),
        normaliser_version=LINKAGE_NORMALISER_VERSION,
        key=key_of(connection),
        trained_on={"profiles": profiles, "pairs_of_strangers": pairs, **trained_on},
    )


def _found_matches(
    connection: duckdb.DuckDBPyConnection,
    roles: Sequence[Role],
    rules: Sequence[Rule],
    profiles: int,
    strangers: Shares,
    policy: LinkagePolicy,
) -> tuple[dict[str, Sequence[float]], int]:
    """The shares of matches that nobody knows, by comparison; and how many the candidates are likely to hold."""
    columns = [role.name for role in roles]
    by_chance = {name: [u for _, u in shares] for name, shares in strangers.items()}
    patterns = count_patterns(connection, roles, policy.pattern_pairs)
    anchor = find_anchor(patterns, roles, by_chance, profiles, policy)
    linker = make_linker(connection, "profiles", strangers, 1 / max(profiles, 2))
    found_by_rule = (_session(linker, rule) for rule in training_rules(rules, columns, policy))
    sessions = [session for session in found_by_rule if session and session.matches <= anchor.matches]
    drawn: dict[str, Sequence[float]] = {}
    for name, shares in strangers.items():
        found, seen = [0.0] * len(shares), 0.0
        for session in sessions:
            if name in session.shares:
                seen += session.matches
                found = [total + session.matches * m for total, m in zip(found, session.shares[name], strict=True)]
        drawn[name] = _drawn(found, anchor.shares[name], seen, policy.prior_matches)
    return drawn, round(anchor.matches)


@dataclass(frozen=True)
class _Session:
    """What one run of expectation maximisation found: matches among its pairs, and their shares by comparison."""

    matches: float
    shares: dict[str, tuple[float, ...]]


def _session(linker: Linker, rule: Rule) -> _Session | None:
    """Train on the pairs of a rule; None where these hold no match to learn from."""
    from splink import block_on
    from splink.internals.exceptions import EMTrainingException

    try:
        session = linker.training.estimate_parameters_using_expectation_maximisation(
            block_on(*rule.keys), estimate_without_term_frequencies=True
        )
    except (EMTrainingException, ValueError):
        return None  # no pairs, or shares that sink below the smallest number: all pairs are of strangers
    found = session.core_model_settings
    return _Session(
        found.probability_two_random_records_match * rule.pairs,
        {
            comparison.output_column_name: tuple(
                _number(level.m_probability) for level in comparison.comparison_levels if not level.is_null_level
            )
            for comparison in found.comparisons
        },
    )


def _strangers(
    connection: duckdb.DuckDBPyConnection, prior: Shares, profiles: int, policy: LinkagePolicy
) -> tuple[Shares, int]:
    """The prior shares with u from all pairs of a sample of profiles, and how many pairs these were."""
    size = min(profiles, math.isqrt(2 * policy.random_pairs))
    # Splink's own sample depends on the order of rows; the hash of the profile's id does not.
    connection.execute(f"""
        CREATE OR REPLACE TABLE sampled_profiles AS
        SELECT * FROM profiles ORDER BY md5(record_id), record_id LIMIT {size}
    """)
    pairs = size * (size - 1) // 2
    if not pairs:
        return prior, 0
    linker = make_linker(connection, "sampled_profiles", prior, 1 / max(profiles, 2))
    linker.training.estimate_u_using_random_sampling(max_pairs=10 * pairs + 10, min_count_per_level=None, num_chunks=1)
    found = _shares(linker, prior)
    connection.execute("DROP TABLE sampled_profiles")
    drawn = {
        name: tuple(
            (m, u)
            for (m, _), u in zip(
                prior[name],
                _drawn([u for _, u in shares], [u for _, u in prior[name]], pairs, policy.prior_strangers),
                strict=True,
            )
        )
        for name, shares in found.items()
    }
    return drawn, pairs


def _shares(linker: Linker, fallback: Shares) -> Shares:
    """What Splink has learned: 0 for a level that no pair fell into, the fallback for an unseen comparison."""
    found: Shares = {}
    for comparison in linker.misc.save_model_to_json()["comparisons"]:
        levels = [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]
        found[comparison["output_column_name"]] = tuple(
            (_number(level.get("m_probability")), _number(level.get("u_probability"))) for level in levels
        )
    return {name: found.get(name, shares) for name, shares in fallback.items()}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _drawn(found: Sequence[float], prior: Sequence[float], observed: float, weight: float) -> list[float]:
    """Shares from ``observed`` cases, drawn towards prior shares that weigh ``weight`` cases; they add up to one."""
    total, prior_total = sum(found), sum(prior)
    seen = observed if total > 0 else 0.0
    mixed = [
        seen * (share / total if total else 0.0) + weight * before / prior_total
        for share, before in zip(found, prior, strict=True)
    ]
    # Sums over threads differ in the last digits; a model has a name, and must be the same each time.
    return [max(round(share / (seen + weight), 9), _SMALLEST) for share in mixed]
