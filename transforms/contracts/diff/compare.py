"""Two states of the contracts: what changed, for whom, and what the next load does about it."""

from __future__ import annotations

from dataclasses import dataclass

from transforms.contracts.diff.change import Change, Impact, Kind, Pair
from transforms.contracts.diff.document import compare_documents
from transforms.contracts.diff.sets import ContractSet
from transforms.contracts.diff.versions import VersionFault, judge_version
from transforms.contracts.document import Document


@dataclass(frozen=True)
class Comparison:
    """Changes, faults of version numbers, and the sources whose landed files the next load gates anew.

    ``undecided_loads`` names sources for which the last cannot be told, because a contract has a fault.
    """

    changes: tuple[Change, ...]
    version_faults: tuple[VersionFault, ...]
    gated_anew: tuple[str, ...]
    undecided_loads: tuple[str, ...]

    @property
    def is_breaking(self) -> bool:
        """Whether somebody who depends on the contracts has to do something."""
        return any(change.impact is Impact.BREAKING for change in self.changes)


def compare(old: ContractSet, new: ContractSet, installed: ContractSet | None = None) -> Comparison:
    """Compare two states of the contracts.

    ``installed`` completes both sides where they are only a part: an entity's fingerprint counts for its sources.
    """
    around = installed or ContractSet()
    old_all, new_all = old.with_defaults(around), new.with_defaults(around)
    entities = new_all.entities()
    changes: list[Change] = []
    faults: list[VersionFault] = []
    for kind, name, before, after in _pairs(old, new):
        if after is None or before is None:
            changes += [_whole(kind, name, document, after is None) for document in (before, after) if document]
            continue
        pair = Pair(kind, name, before, after, entities)
        found = compare_documents(pair)
        changes.extend(found)
        fault = judge_version(pair, found)
        if fault:
            faults.append(fault)
    was, is_now = old_all.sources(old_all.entities()), new_all.sources(entities)
    fingerprints = {
        name: tuple(source and source.fingerprint for source in (was[name], is_now[name]))
        for name in sorted(was.keys() & is_now.keys())
    }
    undecided = tuple(name for name, both in fingerprints.items() if None in both)
    gated = tuple(name for name, (then, now) in fingerprints.items() if then != now and name not in undecided)
    return Comparison(tuple(changes), tuple(faults), gated, undecided)


def _pairs(old: ContractSet, new: ContractSet) -> list[tuple[Kind, str, Document | None, Document | None]]:
    if len(old.documents) == len(new.documents) == 1:
        # Two files that somebody put side by side are one contract, even under two names.
        ((old_key, before),), ((new_key, after),) = old.documents.items(), new.documents.items()
        if old_key[0] is new_key[0]:
            return [(*old_key, before, after)]
    keys = sorted({*old.documents, *new.documents})
    return [(kind, name, old.documents.get((kind, name)), new.documents.get((kind, name))) for kind, name in keys]


def _whole(kind: Kind, name: str, document: Document, removed: bool) -> Change:
    place = Pair(kind, name, document, document).root
    if removed:
        gone = "Models and sources that name it fail." if kind is Kind.ENTITY else "Nothing is pulled any more."
        return place.breaking("contract removed", gone)
    return place.compatible("new contract", "" if kind is Kind.ENTITY else "Its rows join those of the entity.")
