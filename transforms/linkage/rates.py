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

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transforms.linkage.policy import LinkagePolicy

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

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


def rates_before_data(profiles: int, policy: LinkagePolicy) -> Rates:
    """What is held true of any register: one match per profile, and lookalikes as the policy has them."""
    lookalikes: dict[str, float] = {kind: prior.per_match for kind, prior in policy.lookalikes.items()}
    return Rates(1 / max(profiles, 2), lookalikes, policy.emails_made_of_names.share)


def estimate_rates(pairs: Pairs, profiles: int, policy: LinkagePolicy) -> Rates:
    """Learn how many matches and lookalikes there are, by expectation maximisation over the candidates.

    Pairs that are no candidates count as strangers.
    """
    everything = max(profiles * (profiles - 1) / 2, 1)
    before, made = rates_before_data(profiles, policy), policy.emails_made_of_names
    matches, lookalikes, share = before.matches, dict(before.lookalikes), before.emails_made_of_names
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
