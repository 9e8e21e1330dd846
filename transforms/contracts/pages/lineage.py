"""Which marts read an entity, as the models say themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_REF = re.compile(r"""\bref\(\s*['"](\w+)['"]\s*\)""")
# The macro known_rows reads the entity that it is given.
_LAKE = re.compile(r"""\b(?:source\(\s*['"]lake['"]\s*,|known_rows\()\s*['"](\w+)['"]\s*\)""")
_COMMENT = re.compile(r"\{#.*?#\}|--[^\n]*", re.DOTALL)


def marts_by_entity(models: Path) -> dict[str, tuple[str, ...]]:
    """Names of the marts that read an entity, directly or through other models, by entity.

    Reads the text of the models under ``models``; a folder that does not exist has none. The way through identity
    resolution is left out: by it every mart would depend on every entity with identifiers.
    """
    readers: dict[str, set[str]] = {}
    entities: set[str] = set()
    marts = set()
    for file in sorted(models.rglob("*.sql")):
        text = _COMMENT.sub("", file.read_text(encoding="utf-8"))
        if "marts" in file.relative_to(models).parts[:-1]:
            marts.add(file.stem)
        for name in _REF.findall(text):
            readers.setdefault(name, set()).add(file.stem)
        for entity in _LAKE.findall(text):
            entities.add(entity)
            readers.setdefault(f"lake.{entity}", set()).add(file.stem)
    return {entity: tuple(sorted(_downstream(readers, [f"lake.{entity}"]) & marts)) for entity in sorted(entities)}


def _downstream(readers: dict[str, set[str]], start: Iterable[str]) -> set[str]:
    reached: set[str] = set()
    waiting = list(start)
    while waiting:
        for reader in readers.get(waiting.pop(), ()):
            if reader not in reached:
                reached.add(reader)
                waiting.append(reader)
    return reached
