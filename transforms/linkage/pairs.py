"""How probable it is that two profiles are one person: Splink's weights, set against strangers and lookalikes.

Splink weighs one hypothesis, the same person, against one other, two strangers that agree by chance. In a register of
customers most pairs that agree on much are neither: twins, a parent and a child of one name, a household. They share
family name and address, so that these are no evidence against them. Each such hypothesis is one more term of Bayes'
theorem: its likelihood is that of a match without the evidence that it does not share.

    p = 1 / (1 + strangers / match + Σ lookalike / match)

How many matches and lookalikes there are is learned from the pairs by expectation maximisation, too.
"""

from __future__ import annotations

from collections.abc import Sequence
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

    Weights are logarithms to the base of two of match : stranger, without the prior.
    """

    left: Ints
    right: Ints
    weight: Floats
    unshared: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.left)


@dataclass(frozen=True)
class Rates:
    """Prior: the share of all pairs that are matches, and lookalikes of each kind per match."""

    matches: float
    lookalikes: dict[str, float]

    def probabilities(self, pairs: Pairs) -> Floats:
        """Probability of each pair to be one person, rounded to what does not depend on the order of sums."""
        against = np.exp2(np.clip(-pairs.weight, -1000, 1000)) * (1 - self.matches) / self.matches
        for kind, per_match in self.lookalikes.items():
            against = against + per_match * np.exp2(np.clip(-pairs.unshared[kind], -1000, 1000))
        return np.round(1 / (1 + against), 6)


class Scorer:
    """A model over the table ``profiles`` of a connection."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, model: Model, profiles: int, policy: LinkagePolicy
    ) -> None:
        self._connection = connection
        self._policy = policy
        self._roles = model.roles
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
        unshared = {kind: [r for r in self._roles if kind not in r.shared_by] for kind in self._policy.lookalikes}
        parts = ", ".join(f"{_weight(roles)} AS {kind}" for kind, roles in unshared.items())
        rows = self._connection.execute(f"""
            SELECT least(uid_l, uid_r) AS l, greatest(uid_l, uid_r) AS r, match_weight, {parts}
            FROM {table} ORDER BY l, r
        """).fetchnumpy()
        self._connection.execute(f"DROP TABLE {table}")
        return Pairs(
            np.asarray(rows["l"], dtype=np.int32),
            np.asarray(rows["r"], dtype=np.int32),
            np.asarray(rows["match_weight"], dtype=np.float64) - prior,
            {kind: np.asarray(rows[kind], dtype=np.float64) for kind in unshared},
        )


def _weight(roles: Sequence[Role]) -> str:
    terms = [f"mw_{role.name}" for role in roles]
    terms += [f"mw_tf_adj_{role.name}" for role in roles if any(level.frequency for level in role.levels)]
    return " + ".join(terms) or "0.0"


def estimate_rates(pairs: Pairs, profiles: int, policy: LinkagePolicy) -> Rates:
    """Learn how many matches and lookalikes there are, by expectation maximisation over the candidates.

    Pairs that are no candidates count as strangers.
    """
    everything = max(profiles * (profiles - 1) / 2, 1)
    matches = 1 / max(profiles, 2)
    lookalikes: dict[str, float] = {kind: prior.per_match for kind, prior in policy.lookalikes.items()}
    chance = np.exp2(np.clip(-pairs.weight, -1000, 1000))
    unlike = {kind: np.exp2(np.clip(-pairs.unshared[kind], -1000, 1000)) for kind in lookalikes}
    for _ in range(_MOST_ITERATIONS):
        terms = {kind: lookalikes[kind] * unlike[kind] for kind in lookalikes}
        match = 1 / (1 + chance * (1 - matches) / matches + sum(terms.values()))
        found = float(match.sum())
        after = min(max(found / everything, 1e-15), 0.5)
        for kind, prior in policy.lookalikes.items():
            seen = float((match * terms[kind]).sum())
            lookalikes[kind] = (seen + prior.per_match * prior.weight) / (found + prior.weight)
        moved, matches = abs(np.log(after / matches)), after
        if moved < 1e-6:
            break
    return Rates(float(f"{matches:.6g}"), {kind: float(f"{value:.6g}") for kind, value in lookalikes.items()})
