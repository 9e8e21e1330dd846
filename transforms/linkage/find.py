"""From profiles to links: the whole way over one connection, without files."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import duckdb
import numpy as np
import numpy.typing as npt

from transforms.linkage.blocking import block, choose_rules
from transforms.linkage.clusters import average_clusters, expected_f1, loose_components
from transforms.linkage.memory import NONE, Likely, Remembered, changed_profiles, kept_pairs, remember
from transforms.linkage.model import Model, usable_columns
from transforms.linkage.pairs import Scorer
from transforms.linkage.policy import LinkagePolicy
from transforms.linkage.rates import Pairs, Rates, estimate_rates
from transforms.linkage.training import train

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Progress = Callable[[str], None]

# Somebody's evidence, without which a person cannot be told from their household.
_PERSONAL = frozenset({"given", "born", "national_id", "email", "phone"})


@dataclass(frozen=True)
class Found:
    """Links of one run over ``profiles``, by profile number.

    ``cluster`` names each profile's cluster after its first profile; ``left``, ``right``, ``probability`` and
    ``weight`` are the pairs within clusters. ``scored`` is the number of candidates that were compared, ``kept`` that
    of likely pairs that the last run had compared. ``reason`` says why there are none, where nothing could be compared.
    """

    cluster: Ints
    left: Ints
    right: Ints
    probability: Floats
    weight: Floats
    model: Model | None = None
    remembered: Remembered | None = None
    expected_f1: float | None = None
    scored: int = 0
    kept: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class Compared:
    """What a model that is kept says of candidates, before anybody knows who is one person for other reasons."""

    model: Model
    scorer: Scorer
    likely: Likely
    scored: int
    kept: int = 0


def compare(
    connection: duckdb.DuckDBPyConnection,
    policy: LinkagePolicy,
    model: Model,
    remembered: Remembered | None = None,
    progress: Progress | None = None,
) -> Compared:
    """Weigh the candidates among ``profiles`` by a model.

    :param model: one that fits, see :meth:`transforms.linkage.model.Model.fits`.
    :param remembered: what a run with this very model has left; only pairs with a profile that is new to it are scored.
    """
    watch = _Watch(progress)
    changed, kept = None, NONE
    if remembered:
        changed = changed_profiles(connection, remembered)
        kept = kept_pairs(connection, remembered)
    scored = block(connection, model.rules, changed)
    watch.lap("block")
    scorer = Scorer(connection, model)
    likely = kept + _likely(scorer.candidates(), model.rates, policy)
    watch.lap("score")
    return Compared(model, scorer, likely, scored, len(kept))


def learn(
    connection: duckdb.DuckDBPyConnection,
    policy: LinkagePolicy,
    together: Ints | None = None,
    progress: Progress | None = None,
) -> Compared | str:
    """Train a model on ``profiles``, and weigh their candidates by it.

    Needs :func:`transforms.identity.keys.define_keyed_hash`.

    :param together: group of each profile that is one person for other reasons, -1 for none.
    :return: why there is no model, where nothing can be compared.
    """
    watch = _Watch(progress)
    [(profiles,)] = connection.execute("SELECT count(*) FROM profiles").fetchall()
    columns = usable_columns(connection, policy)
    if len(columns) < 2 or not _PERSONAL & {*columns}:
        return "fewer than two kinds of evidence, or none of a single person"
    rules = choose_rules(connection, columns, profiles, policy)
    if not rules:
        return "no two profiles agree on anything that is rare enough to look at"
    scored = block(connection, [rule.keys for rule in rules])
    watch.lap("block")
    model = train(connection, columns, rules, profiles, policy, together)
    watch.lap("train")
    scorer = Scorer(connection, model)
    pairs = scorer.candidates()
    rates = estimate_rates(pairs.only(_open(pairs.left, pairs.right, together)), profiles, policy)
    model = replace(model, rates=rates)
    likely = _likely(pairs, rates, policy)
    watch.lap("score")
    return Compared(model, scorer, likely, scored)


def find_links(
    connection: duckdb.DuckDBPyConnection,
    policy: LinkagePolicy,
    together: Ints | None = None,
    compared: Compared | None = None,
    progress: Progress | None = None,
) -> Found:
    """Find who is one person among ``profiles``; see :func:`transforms.linkage.normalise.prepare_profiles`.

    Depends on the profiles, the policy and the model alone, not on the order of rows, nor on what is remembered.

    :param together: group of each profile that is one person for other reasons, -1 for none.
    :param compared: what :func:`compare` has found with a model; without it one is trained (:func:`learn`).
    """
    [(profiles,)] = connection.execute("SELECT count(*) FROM profiles").fetchall()
    found = compared or learn(connection, policy, together, progress)
    if isinstance(found, str):
        return _nothing(profiles, found)
    watch = _Watch(progress)
    model, likely = found.model, found.likely
    components = loose_components(
        profiles,
        *_with_known(likely, together),
        policy.loose_probability,
        policy.largest_component,
    )
    within = found.scorer.within(components)
    probability = model.rates.probabilities(within)
    watch.lap("score within components")
    cluster = average_clusters(components, within.left, within.right, probability, policy.least_probability, together)
    watch.lap("cluster")
    joined = cluster[within.left] == cluster[within.right]
    return Found(
        cluster,
        within.left[joined],
        within.right[joined],
        probability[joined],
        within.weight[joined],
        model,
        remember(connection, likely),
        round(expected_f1(cluster, within.left, within.right, probability), 4),
        found.scored,
        found.kept,
    )


def _likely(pairs: Pairs, rates: Rates, policy: LinkagePolicy) -> Likely:
    """Pairs that may put two profiles into one component."""
    probability = rates.probabilities(pairs)
    kept = probability >= policy.loose_probability
    return Likely(pairs.left[kept], pairs.right[kept], probability[kept])


def _open(left: Ints, right: Ints, together: Ints | None) -> npt.NDArray[np.bool_]:
    """Pairs that are not known to be one person: how many matches are among these is the question."""
    if together is None:
        return np.ones(len(left), dtype=bool)
    return (together[left] != together[right]) | (together[left] < 0)


def _with_known(likely: Likely, together: Ints | None) -> tuple[Ints, Ints, Floats]:
    """Pairs and, as certain ones, those that hold known groups together: each profile with the next of its group."""
    if together is not None:
        order = np.argsort(together, kind="stable").astype(np.int32)
        same = (together[order[1:]] == together[order[:-1]]) & (together[order[1:]] >= 0)
        likely = likely + Likely(order[:-1][same], order[1:][same], np.ones(int(same.sum())))
    return likely.left, likely.right, likely.probability


def _nothing(profiles: int, reason: str) -> Found:
    none, empty = np.empty(0, dtype=np.int32), np.empty(0)
    return Found(np.arange(profiles, dtype=np.int32), none, none, empty, empty, reason=reason)


class _Watch:
    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        if self._progress:
            self._progress(f"linkage, {name}: {now - self._last:.1f} s")
        self._last = now
