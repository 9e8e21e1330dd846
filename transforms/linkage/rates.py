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
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from transforms.linkage.policy import LinkagePolicy, Lookalike

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

_MOST_ITERATIONS = 200
_SETTLED = 1e-6


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What speaks for and against pairs: the weight of all of it, and of what each kind of lookalike does not share.

    ``by_name``: the weight of all but the likeness of e-mail addresses, where the names agree; elsewhere that of all.
    ``is_named``: whether the names agree and two addresses were compared. Weights are logarithms to the base of two of
    match : stranger, without the prior.
    """

    weight: Floats
    unshared: dict[Lookalike, Floats]
    by_name: Floats
    is_named: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.weight)

    # Odds against a match, before any rates: maximisation needs them in every step, and they stay the same.

    @cached_property
    def by_chance(self) -> Floats:
        """Likelihood of two strangers beside that of a match."""
        return _against(self.weight)

    @cached_property
    def by_chance_of_name(self) -> Floats:
        """The same of strangers whose addresses are made of their one name."""
        return _against(self.by_name)

    @cached_property
    def by_lookalike(self) -> dict[Lookalike, Floats]:
        """The same of lookalikes of each kind."""
        return {kind: _against(weight) for kind, weight in self.unshared.items()}


@dataclass(frozen=True, kw_only=True)
class Pairs(Evidence):
    """Scored pairs: the evidence on two profiles each."""

    left: Ints
    right: Ints

    def only(self, kept: npt.NDArray[np.bool_]) -> Self:
        """Some of the pairs."""
        return type(self)(
            left=self.left[kept],
            right=self.right[kept],
            weight=self.weight[kept],
            unshared={kind: weight[kept] for kind, weight in self.unshared.items()},
            by_name=self.by_name[kept],
            is_named=self.is_named[kept],
        )


@dataclass(frozen=True)
class Rates:
    """Prior: the share of all pairs that are matches, lookalikes of each kind per match, and the share of strangers of
    one name whose e-mail addresses are made of it."""

    matches: float
    lookalikes: dict[Lookalike, float]
    emails_made_of_names: float

    def probabilities(self, pairs: Evidence) -> Floats:
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
    lookalikes: dict[Lookalike, float] = {kind: prior.per_match for kind, prior in policy.lookalikes.items()}
    return Rates(1 / max(profiles, 2), lookalikes, policy.emails_made_of_names.share)


def estimate_rates(pairs: Evidence, profiles: int, policy: LinkagePolicy) -> Rates:
    """Learn how many matches and lookalikes there are, by expectation maximisation over the candidates.

    Pairs that are no candidates count as strangers.
    """
    rates = rates_before_data(profiles, policy)
    for _ in range(_MOST_ITERATIONS):
        before = rates
        rates, _ = expect(pairs, before, profiles, policy)
        if abs(np.log(rates.matches / before.matches)) < _SETTLED:
            break
    return Rates(
        float(f"{rates.matches:.6g}"),
        {kind: float(f"{value:.6g}") for kind, value in rates.lookalikes.items()},
        float(f"{rates.emails_made_of_names:.6g}"),
    )


def expect(
    pairs: Evidence, rates: Rates, profiles: int, policy: LinkagePolicy, times: Floats | float = 1.0
) -> tuple[Rates, Floats]:
    """One step of expectation maximisation: the rates that pairs have by given rates, and how probably each is a match.

    :param times: how many pairs each one stands for.
    """
    matches, lookalikes, share = rates.matches, rates.lookalikes, rates.emails_made_of_names
    odds = (1 - matches) / matches
    strangers, alike = odds * (1 - share) * pairs.by_chance, odds * share * pairs.by_chance_of_name
    terms = {kind: per_match * pairs.by_lookalike[kind] for kind, per_match in lookalikes.items()}
    match = 1 / (1 + strangers + alike + sum(terms.values()))
    expected = match * times
    found = float(expected.sum())
    likely = {}
    for kind, prior in policy.lookalikes.items():
        seen = float((expected * terms[kind]).sum())
        likely[kind] = (seen + prior.per_match * prior.weight) / (found + prior.weight)
    # Where addresses are not alike they are not made of the name, whatever the weights say.
    is_alike = pairs.by_name < pairs.weight
    named = float((expected * (strangers + alike))[pairs.is_named].sum())
    made = policy.emails_made_of_names
    share = (float((expected * alike)[is_alike].sum()) + made.share * made.weight) / (named + made.weight)
    everything = max(profiles * (profiles - 1) / 2, 1)
    return Rates(min(max(found / everything, 1e-15), 0.5), likely, share), match
