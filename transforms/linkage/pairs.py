"""How probable it is that two profiles are one person: Splink's weights, set against strangers and lookalikes.

Splink weighs one hypothesis, the same person, against one other, two strangers that agree by chance. In a register of
customers most pairs that agree on much are neither: twins, a parent and a child of one name, a household. They share
family name and address, so that these are no evidence against them. Each such hypothesis is one more term of Bayes'
theorem: its likelihood is that of a match without the evidence that it does not share.

    p = 1 / (1 + strangers / match + Σ lookalike / match)

Strangers, too, agree on more than chance would have it: two of one name have like e-mail addresses, where addresses are
made of names. Strangers are a mixture of those whose addresses are and those whose are not.

How many matches and lookalikes there are is learned from the pairs by expectation maximisation, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt

from transforms.linkage.model import Model, make_linker
from transforms.linkage.policy import LinkagePolicy
from transforms.linkage.roles import Role

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

# Pairs with less than one in so many odds, as of one match per profile, are not kept.
_LEAST_WEIGHT = -10.0
_MOST_ITERATIONS = 200


@dataclass(frozen=True)
class Pairs:
    """Scored pairs: two profiles, the weight of all evidence, and of what each kind of lookalike does not share.

    ``by_name``: the weight of all but the likeness of e-mail addresses, where the names agree; elsewhere that of all.
    ``is_named``: whether the names agree and two addresses were compared. Weights are logarithms to the base of two of
    match : stranger, without the prior.
    """

    left: Ints
    right: Ints
    weight: Floats
    unshared: dict[str, Floats]
    by_name: Floats
    is_named: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.left)

    def only(self, kept: npt.NDArray[np.bool_]) -> Pairs:
        """Some of the pairs."""
        unshared = {kind: weight[kept] for kind, weight in self.unshared.items()}
        return Pairs(
            self.left[kept], self.right[kept], self.weight[kept], unshared, self.by_name[kept], self.is_named[kept]
        )


@dataclass(frozen=True)
class Rates:
    """Prior: the share of all pairs that are matches, lookalikes of each kind per match, and the share of strangers of
    one name whose e-mail addresses are made of it."""

    matches: float
    lookalikes: dict[str, float]
    emails_made_of_names: float

    def probabilities(self, pairs: Pairs) -> Floats:
        """Probability of each pair to be one person, rounded to what does not depend on the order of sums."""
        share = self.emails_made_of_names
        strangers = (1 - share) * _against(pairs.weight) + share * _against(pairs.by_name)
        against = strangers * (1 - self.matches) / self.matches
        for kind, per_match in self.lookalikes.items():
            against = against + per_match * _against(pairs.unshared[kind])
        return np.round(1 / (1 + against), 6)


def _against(weight: Floats) -> Floats:
    return np.exp2(np.clip(-weight, -1000, 1000))


class Scorer:
    """A model over the table ``profiles`` of a connection."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, model: Model, profiles: int, policy: LinkagePolicy
    ) -> None:
        self._connection = connection
        self._policy = policy
        self._roles = model.roles
        self._shares = model.shares
        self._prior = 1 / max(profiles, 2)
        self._linker = make_linker(connection, "profiles", model.shares, self._prior)
        self._profiles = profiles

    def candidates(self) -> Pairs:
        """Score ``candidates``; see :func:`transforms.linkage.blocking.block`."""
        from splink import DuckDBAPI

        self._linker.table_management.register_blocked_pairs_for_predict(
            DuckDBAPI(self._connection).register("candidates")
        )
        predicted = self._linker.inference.predict(threshold_match_weight=_LEAST_WEIGHT)
        return self._read(predicted.physical_name)

    def within(self, components: Ints) -> Pairs:
        """Score all pairs of profiles of one component, by profile number; -1: of no component."""
        import pyarrow as pa
        from splink import DuckDBAPI, block_on

        columns = {"uid": pa.array(np.arange(len(components), dtype=np.int32)), "component": pa.array(components)}
        self._connection.register("component_of_profile", pa.table(columns))
        self._connection.execute("""
            CREATE OR REPLACE TABLE component_profiles AS
            SELECT p.*, c.component FROM profiles p JOIN component_of_profile c USING (uid)
            WHERE c.component >= 0 ORDER BY uid
        """)
        self._connection.unregister("component_of_profile")
        predicted = self._linker.inference.predict_within(
            DuckDBAPI(self._connection).register("component_profiles"),
            blocking_rules_to_generate_predictions=[block_on("component")],
        )
        return self._read(predicted.physical_name)

    def _read(self, table: str) -> Pairs:
        prior = np.log2(self._prior / (1 - self._prior))
        kinds = list(self._policy.lookalikes)
        unshared = ", ".join(
            # A lookalike may share all that the profiles tell.
            " + ".join(["0.0", *(_weight(role) for role in self._roles if kind not in role.shared_by)]) + f" AS {kind}"
            for kind in kinds
        )
        named, alike = self._names()
        rows = self._connection.execute(f"""
            SELECT least(uid_l, uid_r) AS l, greatest(uid_l, uid_r) AS r, match_weight, {unshared},
                   {named} AS is_named, match_weight - CASE WHEN {named} THEN {alike} ELSE 0 END AS by_name
            FROM {table} ORDER BY l, r
        """).fetchnumpy()
        self._connection.execute(f"DROP TABLE {table}")
        return Pairs(
            np.asarray(rows["l"], dtype=np.int32),
            np.asarray(rows["r"], dtype=np.int32),
            np.asarray(rows["match_weight"], dtype=np.float64) - prior,
            {kind: np.asarray(rows[kind], dtype=np.float64) for kind in kinds},
            np.asarray(rows["by_name"], dtype=np.float64) - prior,
            np.asarray(rows["is_named"], dtype=bool),
        )

    def _names(self) -> tuple[str, str]:
        """SQL expressions: whether names agree and addresses were compared, and the weight of alike addresses."""
        roles = {role.name: role for role in self._roles}
        if not {"given", "family", "email"} <= set(roles):
            return "false", "0.0"
        m, u = self._shares["email"][0]
        # Splink gives the levels of a pair only together with all values; equality is known by its weight.
        is_equal = f"abs(mw_email - {math.log2(m / u)!r}) < 1e-6"
        alike = f"CASE WHEN {is_equal} THEN 0 ELSE greatest({_weight(roles['email'])}, 0) END"
        return "mw_given > 0 AND mw_family > 0 AND mw_email <> 0", alike


def _weight(role: Role) -> str:
    """SQL expression: the weight of a comparison, with that of rare values."""
    has_frequency = any(level.frequency for level in role.levels)
    return f"mw_{role.name} + mw_tf_adj_{role.name}" if has_frequency else f"mw_{role.name}"


def estimate_rates(pairs: Pairs, profiles: int, policy: LinkagePolicy) -> Rates:
    """Learn how many matches and lookalikes there are, by expectation maximisation over the candidates.

    Pairs that are no candidates count as strangers.
    """
    everything = max(profiles * (profiles - 1) / 2, 1)
    matches, made = 1 / max(profiles, 2), policy.emails_made_of_names
    lookalikes: dict[str, float] = {kind: prior.per_match for kind, prior in policy.lookalikes.items()}
    share = made.share
    by_chance, by_name = _against(pairs.weight), _against(pairs.by_name)
    unlike = {kind: _against(pairs.unshared[kind]) for kind in lookalikes}
    for _ in range(_MOST_ITERATIONS):
        odds = (1 - matches) / matches
        strangers, alike = odds * (1 - share) * by_chance, odds * share * by_name
        terms = {kind: lookalikes[kind] * unlike[kind] for kind in lookalikes}
        match = 1 / (1 + strangers + alike + sum(terms.values()))
        found = float(match.sum())
        after = min(max(found / everything, 1e-15), 0.5)
        for kind, prior in policy.lookalikes.items():
            seen = float((match * terms[kind]).sum())
            lookalikes[kind] = (seen + prior.per_match * prior.weight) / (found + prior.weight)
        # Where addresses are not alike they are not made of the name, whatever the weights say.
        is_alike = pairs.by_name < pairs.weight
        named = float((match * (strangers + alike))[pairs.is_named].sum())
        share = (float((match * alike)[is_alike].sum()) + made.share * made.weight) / (named + made.weight)
        moved, matches = abs(np.log(after / matches)), after
        if moved < 1e-6:
            break
    return Rates(
        float(f"{matches:.6g}"),
        {kind: float(f"{value:.6g}") for kind, value in lookalikes.items()},
        float(f"{share:.6g}"),
    )
