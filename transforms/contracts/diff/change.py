"""What a change of a contract is: where it stands, what it does to whoever depends on the contract."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from transforms.contracts.document import Document, NodePath
from transforms.contracts.model import Entity

_SHOWN_CHARACTERS = 70
# Nodes whose own names say nothing to a reader.
_CONTAINERS = {"schema", "properties", "quality", "customProperties", "logicalTypeOptions", "slaProperties", "servers"}


class Kind(StrEnum):
    """Entity contracts are read by dbt models and marts, source contracts by the gate: they break differently."""

    ENTITY = "entity"
    SOURCE = "source"


class Impact(StrEnum):
    """What a change does to whoever depends on the contract."""

    BREAKING = "breaking"
    COMPATIBLE = "compatible"
    COSMETIC = "cosmetic"


@dataclass(frozen=True)
class Change:
    """One difference between two versions of a contract; ``alarm`` marks what nobody may overlook."""

    contract: str
    kind: Kind
    subject: str
    impact: Impact
    message: str
    effect: str
    file: Path
    line: int
    alarm: bool = False


@dataclass(frozen=True)
class Pair:
    """Two versions of one contract; ``entities`` are those of the new side, as far as they are known."""

    kind: Kind
    name: str
    old: Document
    new: Document
    entities: Mapping[str, Entity] = field(default_factory=dict)

    @property
    def root(self) -> Place:
        """The contract as a whole."""
        return Place(self, "", (), ())


@dataclass(frozen=True)
class Place:
    """A node of both versions; on a side that lacks it, the path of its nearest parent."""

    pair: Pair
    subject: str
    old_path: NodePath
    new_path: NodePath

    def child(self, key: str | int, subject: str) -> Place:
        """The node under ``key`` on both sides."""
        return replace(
            self,
            subject=self._named(subject),
            old_path=(*self.old_path, key),
            new_path=(*self.new_path, key),
        )

    def items(self, old: int | None, new: int | None, subject: str) -> Place:
        """Items of a list that belong together although they stand at different positions."""
        return replace(
            self,
            subject=self._named(subject),
            old_path=self.old_path if old is None else (*self.old_path, old),
            new_path=self.new_path if new is None else (*self.new_path, new),
        )

    def breaking(self, message: str, effect: str, alarm: bool = False) -> Change:
        """A change that breaks somebody."""
        return self._change(Impact.BREAKING, message, effect, alarm)

    def compatible(self, message: str, effect: str = "", alarm: bool = False) -> Change:
        """A change that everybody can live with."""
        return self._change(Impact.COMPATIBLE, message, effect, alarm)

    def cosmetic(self, message: str, effect: str = "") -> Change:
        """A change of texts."""
        return self._change(Impact.COSMETIC, message, effect, False)

    def undecided(self, old: Any, new: Any) -> Change:
        """A change whose effect nobody can compute."""
        return self.breaking(f"{show(old)} → {show(new)}", "Cannot be decided: treated as breaking.")

    def _change(self, impact: Impact, message: str, effect: str, alarm: bool) -> Change:
        file, line = self._place()
        pair = self.pair
        return Change(pair.name, pair.kind, self.subject, impact, message, effect, file, line, alarm)

    def _place(self) -> tuple[Path, int]:
        """The line of the new version, or of the old one for what is gone; else of the nearest parent."""
        new, old = self.pair.new, self.pair.old
        is_gone = len(self.old_path) > len(self.new_path) or self.new_path not in new.lines
        if is_gone and self.old_path in old.lines:
            return old.file, old.lines[self.old_path]
        problem = new.problem(self.new_path, "")
        return problem.file, problem.line

    def _named(self, key: str) -> str:
        return f"{self.subject} {key}".strip()


# Compares the value of a key in the old version with that in the new one; None stands for "not there".
Compare = Callable[[Place, Any, Any], Iterator[Change]]


def compare_keys(
    place: Place, old: Mapping[str, Any], new: Mapping[str, Any], known: Mapping[str, Compare]
) -> Iterator[Change]:
    """Differences of two mappings, key by key; a key that nobody knows cannot be decided."""
    for key in dict.fromkeys((*new, *old)):
        if old.get(key) != new.get(key):
            here = place.child(key, "" if key in _CONTAINERS else key)
            yield from known.get(key, undecided)(here, old.get(key), new.get(key))


def undecided(place: Place, old: Any, new: Any) -> Iterator[Change]:
    """A difference that has no rule."""
    yield place.undecided(old, new)


def ignored(place: Place, old: Any, new: Any) -> Iterator[Change]:
    """A difference that another comparison reports."""
    return iter(())


def cosmetic(place: Place, old: Any, new: Any) -> Iterator[Change]:
    """A difference in what only people read."""
    yield place.cosmetic("text changed" if old and new else "added" if new else "removed")


def show(value: Any) -> str:
    """A value for people, on one line and not too long."""
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False, default=str)
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def keyed(items: Any, key: str) -> dict[str, tuple[int, dict[str, Any]]]:
    """Items of a list by the value of ``key``, with their positions; of several with one value the first counts."""
    result: dict[str, tuple[int, dict[str, Any]]] = {}
    for index, item in enumerate(items or []):
        result.setdefault(str(item.get(key)), (index, item))
    return result


def compare_custom(
    place: Place, old: Any, new: Any, known: Mapping[str, Compare], otherwise: Compare = undecided
) -> Iterator[Change]:
    """Custom properties by their names."""
    before, after = keyed(old, "property"), keyed(new, "property")
    for name in dict.fromkeys((*after, *before)):
        (old_at, old_item), (new_at, new_item) = before.get(name, (None, {})), after.get(name, (None, {}))
        was, is_now = old_item.get("value"), new_item.get("value")
        if was != is_now:
            yield from known.get(name, otherwise)(place.items(old_at, new_at, name), was, is_now)
