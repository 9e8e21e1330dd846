"""The model: how much each degree of agreement tells, learned from the profiles themselves without any label.

Fellegi and Sunter's model (1969), fitted by expectation maximisation in Splink.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from transforms.linkage.blocking import Rule, count_pairs, most_pairs, training_rules
from transforms.linkage.frequencies import Frequencies, count_terms, frequency_columns
from transforms.linkage.normalise import LINKAGE_NORMALISER_VERSION
from transforms.linkage.policy import LinkagePolicy
from transforms.linkage.rates import Rates, rates_before_data
from transforms.linkage.roles import COMPARISONS, ROLES, Role

if TYPE_CHECKING:
    from splink import Linker

Shares = dict[str, tuple[tuple[float, float], ...]]

_SMALLEST = 1e-9
_FORMAT = 2
_MOST_PAIRS = 2
"""A kept model's rules may bring so many times the budget: with a tenth more profiles they bring a fifth more pairs."""


@dataclass(frozen=True)
class Model:
    """All that the probability of a pair depends on beside its two profiles, and by which pairs are found.

    ``rules`` are the keys of each blocking rule. ``shares`` is comparison → one pair (m, u) of shares of true matches
    and of strangers for each level, in the order of the comparison's levels. ``key`` tells under which secret the terms
    of ``frequencies`` were hashed.
    """

    columns: tuple[str, ...]
    rules: tuple[tuple[str, ...], ...]
    shares: Shares
    rates: Rates
    frequencies: Frequencies
    policy: dict[str, Any]
    normaliser_version: int
    key: str
    trained_on: dict[str, int]

    @cached_property
    def version(self) -> str:
        """Name of the model: what has the same content has the same name, wherever it was learned."""
        return _name(self._content())

    @property
    def profiles(self) -> int:
        """Number of profiles that it was trained on."""
        return self.trained_on["profiles"]

    @property
    def roles(self) -> list[Role]:
        """The comparisons of the model."""
        return [role for role in ROLES if role.name in self.columns]

    def to_json(self) -> str:
        """The artefact without its terms: sorted and indented, so that two models can be compared line by line."""
        return json.dumps({"version": self.version, **self._content()}, indent=1, ensure_ascii=False) + "\n"

    def _content(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "normaliser_version": self.normaliser_version,
            "comparisons_version": COMPARISONS,
            "columns": list(self.columns),
            "rules": [list(rule) for rule in self.rules],
            "trained_on": self.trained_on,
            "rates": {
                "matches": self.rates.matches,
                "lookalikes": self.rates.lookalikes,
                "emails_made_of_names": self.rates.emails_made_of_names,
            },
            "comparisons": {
                role.name: [
                    {"level": level.label, "m": m, "u": u, "weight": round(math.log2(m / u), 3)}
                    for level, (m, u) in zip(role.levels, self.shares[role.name], strict=True)
                ]
                for role in self.roles
            },
            "frequencies": {"filled": self.frequencies.filled, "terms": self.frequencies.digest, "key": self.key},
            "policy": self.policy,
        }

    @classmethod
    def from_json(cls, text: str, terms: pa.Table) -> Model | None:
        """Read what :meth:`to_json` wrote, with the terms that stood beside it; None for a model of another release.

        :raises ValueError: if it was changed by hand.
        """
        content = json.loads(text)
        if content.get("format") != _FORMAT:
            return None
        version = content.pop("version")
        frequencies = Frequencies(content["frequencies"]["filled"], terms)
        if frequencies.digest != content["frequencies"]["terms"] or _name(content) != version:
            raise ValueError(
                f"the model {version} of linkage was changed by hand: restore its files, or delete them"
                " and a new one is trained"
            )
        if content["comparisons_version"] != COMPARISONS:
            return None
        return cls(
            columns=tuple(content["columns"]),
            rules=tuple(tuple(rule) for rule in content["rules"]),
            shares={
                name: tuple((level["m"], level["u"]) for level in found)
                for name, found in content["comparisons"].items()
            },
            rates=Rates(**content["rates"]),
            frequencies=frequencies,
            policy=content["policy"],
            normaliser_version=content["normaliser_version"],
            key=content["frequencies"]["key"],
            trained_on=content["trained_on"],
        )

    def fits(self, connection: duckdb.DuckDBPyConnection, policy: LinkagePolicy) -> bool:
        """Whether the model may be used for ``profiles``: by its policy, columns, secret, and by their number.

        Needs :func:`transforms.identity.keys.define_keyed_hash`.
        """
        [(profiles,)] = connection.execute("SELECT count(*) FROM profiles").fetchall()
        return (
            self.policy == policy.model_dump(mode="json")
            and self.normaliser_version == LINKAGE_NORMALISER_VERSION
            and abs(profiles - self.profiles) <= policy.most_growth * self.profiles
            and self.key == _key(connection)
            and self.columns == usable_columns(connection, policy)
            # Many profiles of one value bring pairs without end.
            and count_pairs(connection, self.rules) <= _MOST_PAIRS * most_pairs(profiles, policy)
        )


def _name(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _key(connection: duckdb.DuckDBPyConnection) -> str:
    """Tells under which secret ``keyed_hash`` hashes."""
    return connection.execute("SELECT keyed_hash('fingerprint', 16)").fetchall()[0][0]


def usable_columns(connection: duckdb.DuckDBPyConnection, policy: LinkagePolicy) -> tuple[str, ...]:
    """Columns that enough profiles fill, with more than one value, in the order of :data:`ROLES`."""
    counts = ", ".join(f"count({role.name}), approx_count_distinct({role.name})" for role in ROLES)
    row = connection.execute(f"SELECT count(*), {counts} FROM profiles").fetchall()[0]
    filled, distinct = row[1::2], row[2::2]
    return tuple(
        role.name
        for role, count, values in zip(ROLES, filled, distinct, strict=True)
        if values > 1 and count >= policy.min_completeness * row[0]
    )


def train(
    connection: duckdb.DuckDBPyConnection,
    columns: Sequence[str],
    rules: Sequence[Rule],
    profiles: int,
    policy: LinkagePolicy,
) -> Model:
    """Learn a model from ``profiles``.

    How often strangers agree comes from all pairs of a fixed sample, how often true matches do from expectation
    maximisation over the pairs of a few rules. What few pairs say is drawn towards what is known before any data.
    The rates are those before any data. Needs :func:`transforms.identity.keys.define_keyed_hash`.
    """
    prior = {role.name: tuple((level.m, level.u) for level in role.levels) for role in ROLES if role.name in columns}
    strangers, pairs = _strangers(connection, prior, profiles, policy)
    linker = make_linker(connection, "profiles", strangers, 1 / max(profiles, 2))
    sessions = [_session(linker, rule) for rule in training_rules(rules, columns, policy)]
    smoothed = {}
    for name, shares in strangers.items():
        found, seen = [0.0] * len(shares), 0.0
        for session in sessions:
            if session and name in session.shares:
                seen += session.matches
                found = [total + session.matches * m for total, m in zip(found, session.shares[name], strict=True)]
        drawn = _drawn(found, [m for m, _ in prior[name]], seen, policy.prior_matches)
        smoothed[name] = tuple((m, u) for m, (_, u) in zip(drawn, shares, strict=True))
    return Model(
        columns=tuple(columns),
        rules=tuple(rule.keys for rule in rules),
        shares=smoothed,
        rates=rates_before_data(profiles, policy),
        frequencies=count_terms(connection, frequency_columns(role for role in ROLES if role.name in columns)),
        policy=policy.model_dump(mode="json"),
        normaliser_version=LINKAGE_NORMALISER_VERSION,
        key=_key(connection),
        trained_on={
            "profiles": profiles,
            "pairs_of_strangers": pairs,
            "expected_matches": round(max((session.matches for session in sessions if session), default=0)),
        },
    )


def make_linker(connection: duckdb.DuckDBPyConnection, table: str, shares: Shares, match_rate: float) -> Linker:
    """Splink over a table of profiles, with given shares."""
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    logging.getLogger("splink").setLevel(logging.ERROR)
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="uid",
        comparisons=[_comparison(role, shares[role.name]) for role in ROLES if role.name in shares],
        # The pairs are registered, see transforms.linkage.blocking; Splink wants a rule all the same.
        blocking_rules_to_generate_predictions=[block_on("uid")],
        probability_two_random_records_match=match_rate,
        em_convergence=0.002,
        max_iterations=30,
        retain_matching_columns=False,
        retain_intermediate_calculation_columns=True,
    )
    return Linker(DuckDBAPI(connection).register(table), settings, log_level=logging.ERROR, validate_settings=False)


def _comparison(role: Role, shares: Sequence[tuple[float, float]]) -> dict[str, Any]:
    missing = {"sql_condition": role.missing, "label_for_charts": "missing", "is_null_level": True}
    levels = [
        {
            "sql_condition": level.condition,
            "label_for_charts": level.label,
            "m_probability": m,
            "u_probability": u,
            **({"tf_adjustment_column": level.frequency, "tf_adjustment_weight": 1.0} if level.frequency else {}),
        }
        for level, (m, u) in zip(role.levels, shares, strict=True)
    ]
    return {"output_column_name": role.name, "comparison_levels": [missing, *levels]}


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
