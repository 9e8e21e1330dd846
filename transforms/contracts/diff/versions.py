"""The version number rises with what changed: major for breaking, minor for compatible changes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from transforms.contracts.diff.change import Change, Impact, Kind, Pair

_NUMBER = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:[-+].*)?")


@dataclass(frozen=True)
class VersionFault:
    """A version number that does not say what happened."""

    contract: str
    kind: Kind
    file: Path
    line: int
    message: str


def judge_version(pair: Pair, changes: Iterable[Change]) -> VersionFault | None:
    """The fault of the new version number, if it has one."""
    old, new = (str(document.data.get("version", "")) for document in (pair.old, pair.new))
    impacts = {change.impact for change in changes}
    worst = next((impact for impact in Impact if impact in impacts), None)
    message = _fault(old, new, worst)
    if message is None:
        return None
    problem = pair.new.problem(("version",), message)
    return VersionFault(pair.name, pair.kind, problem.file, problem.line, message)


def _fault(old: str, new: str, worst: Impact | None) -> str | None:
    before, after = _NUMBER.fullmatch(old), _NUMBER.fullmatch(new)
    needs_more = worst in {Impact.BREAKING, Impact.COMPATIBLE}
    if before is None or after is None:
        if old == new and not needs_more:
            return None
        return f"version {old} → {new}: not MAJOR.MINOR.PATCH, so nobody can tell what the change means."
    was = (int(before.group(1)), int(before.group(2)), int(before.group(3)))
    now = (int(after.group(1)), int(after.group(2)), int(after.group(3)))
    if now < was:
        return f"version {old} → {new}: goes back."
    if worst is Impact.BREAKING and now[0] == was[0]:
        return f"version {old} → {new}: a breaking change needs {was[0] + 1}.0.0."
    if worst is Impact.COMPATIBLE and now[:2] == was[:2]:
        return f"version {old} → {new}: a compatible change needs {was[0]}.{was[1] + 1}.0."
    return None
