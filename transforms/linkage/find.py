"""From profiles to links: the whole way over one connection, without files."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import duckdb
import numpy as np
import numpy.typing as npt

from transforms.linkage.blocking import block, choose_rules
from transforms.linkage.clusters import cut, expected_f1, loose_components, trees
from transforms.linkage.model import Model, train, usable_columns
from transforms.linkage.pairs import Rates, Scorer, estimate_rates
from transforms.linkage.policy import LinkagePolicy

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Progress = Callable[[str], None]

# Somebody's evidence, without which a person cannot be told from their household.
_PERSONAL = frozenset({"given", "born", "national_id", "email", "phone"})


@dataclass(frozen=True)
class Found:
    """Links of one run over ``profiles``, by profile number.

    ``cluster`` names each profile's cluster after its first profile; ``left``, ``right``, ``probability`` and
    ``weight`` are the pairs within clusters. ``reason`` says why there are none, where nothing could be compared.
    """

    cluster: Ints
    left: Ints
    right: Ints
    probability: Floats
    weight: Floats
    model: Model | None = None
    rates: Rates | None = None
    expected_f1: float | None = None
    candidates: int = 0
    rules: tuple[tuple[str, ...], ...] = ()
    reason: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)


def find_links(
    connection: duckdb.DuckDBPyConnection,
    policy: LinkagePolicy,
    model: Model | None = None,
    together: Ints | None = None,
    progress: Progress | None = None,
) -> Found:
    """Find who is one person among ``profiles``; see :func:`transforms.linkage.normalise.prepare_profiles`.

    Depends on the profiles, the policy and the model alone, not on the order of rows.

    :param model: used if it fits the columns, else one is trained.
    :param together: group of each profile that is one person for other reasons, -1 for none.
    """
    watch = _Watch(progress)
    profiles = connection.execute("SELECT count(*) FROM profiles").fetchall()[0][0]
    columns = usable_columns(connection, policy)
    if len(columns) < 2 or not _PERSONAL & {*columns}:
        return _nothing(profiles, "fewer than two kinds of evidence, or none of a single person")
    rules = choose_rules(connection, columns, profiles, policy)
    if not rules:
        return _nothing(profiles, "no two profiles agree on anything that is rare enough to look at")
    candidates = block(connection, rules)
    watch.lap("block")
    if model is None or not model.fits(columns, policy):
        model = train(connection, columns, rules, profiles, policy)
        watch.lap("train")
    scorer = Scorer(connection, model, profiles, policy)
    pairs = scorer.candidates()
    rates = estimate_rates(pairs.only(_open(pairs.left, pairs.right, together)), profiles, policy)
    watch.lap("score")
    components = loose_components(
        profiles,
        *_with_known(pairs.left, pairs.right, rates.probabilities(pairs), together),
        policy.loose_probability,
        policy.largest_component,
    )
    within = scorer.within(components)
    probability = rates.probabilities(within)
    watch.lap("score within components")
    forest = trees(components, within.left, within.right, probability, together)
    cluster = cut(profiles, forest, policy.least_probability)
    watch.lap("cluster")
    joined = cluster[within.left] == cluster[within.right]
    return Found(
        cluster,
        within.left[joined],
        within.right[joined],
        probability[joined],
        within.weight[joined],
        model,
        rates,
        round(expected_f1(cluster, within.left, within.right, probability), 4),
        candidates,
        tuple(rule.keys for rule in rules),
        None,
        watch.seconds,
    )


def _open(left: Ints, right: Ints, together: Ints | None) -> npt.NDArray[np.bool_]:
    """Pairs that are not known to be one person: how many matches are among these is the question."""
    if together is None:
        return np.ones(len(left), dtype=bool)
    return (together[left] != together[right]) | (together[left] < 0)


def _with_known(left: Ints, right: Ints, probability: Floats, together: Ints | None) -> tuple[Ints, Ints, Floats]:
    """Pairs and, as certain ones, those that hold known groups together: each profile with the next of its group."""
    if together is None:
        return left, right, probability
    order = np.argsort(together, kind="stable").astype(np.int32)
    same = (together[order[1:]] == together[order[:-1]]) & (together[order[1:]] >= 0)
    return (
        np.concatenate([left, order[:-1][same]]),
        np.concatenate([right, order[1:][same]]),
        np.concatenate([probability, np.ones(int(same.sum()))]),
    )


def _nothing(profiles: int, reason: str) -> Found:
    none, empty = np.empty(0, dtype=np.int32), np.empty(0)
    return Found(np.arange(profiles, dtype=np.int32), none, none, empty, empty, reason=reason)


class _Watch:
    def __init__(self, progress: Progress | None) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = now - self._last
        self._last = now
        if self._progress:
            self._progress(f"linkage, {name}: {self.seconds[name]:.1f} s")
