"""The record of the last good build: what each of its steps was made of, and what it left behind.

A step that has ended well remembers its inputs and makes the steps after it forget theirs, so that the record never
holds more than is true: whoever runs one step by hand, fails, or is killed leaves a record that does not match.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transforms.builds.inputs import Inputs
from transforms.settings import Settings

STEPS = ("observe", "identity", "model", "value", "value_marts", "publication")
"""The steps from the lake to the published file, in their order."""


def record_file(settings: Settings) -> Path:
    """Where the record lies: among what can be derived again."""
    return settings.home / "dbt" / "last_build.json"


def remember(settings: Settings, step: str, inputs: Inputs) -> None:
    """Note that a step of :data:`STEPS` ended well on these inputs; the last one closes the build."""
    steps = _kept(settings, step) | {step: dict(inputs)}
    closed = {"outputs": _outputs(settings)} if step == STEPS[-1] else {}
    _write(settings, {"steps": steps, **closed})


def forget_from(settings: Settings, step: str) -> None:
    """Note that a step begins: until it has ended, neither it nor a later one stands for anything."""
    _write(settings, {"steps": _kept(settings, step)})


def reason_to_build(settings: Settings, inputs: Inputs) -> str | None:
    """Why the last build cannot stand, as a phrase for people; None if all that it was made of is unchanged."""
    if settings.rebuild:
        return "a rebuild is asked for"
    record = _read(settings)
    if not record.get("outputs"):
        return "a build has begun and not ended" if record else "no build has ended well yet"
    for step in STEPS:
        before = record["steps"].get(step, {})
        if changed := sorted(part for part in {*before, *inputs} if before.get(part) != inputs.get(part)):
            return f"changed since the last build: {', '.join(changed)}"
    found = _outputs(settings)
    changed = sorted(name for name, state in record["outputs"].items() if found.get(name) != state)
    return f"not as the last build left it: {', '.join(changed)}" if changed else None


def _outputs(settings: Settings) -> dict[str, Any]:
    return {
        "identity": _current(settings.lake / "identity"),
        "value": _current(settings.lake / "value"),
        "warehouse": _stamp(settings.warehouse),
        "published": _stamp(settings.published),
    }


def _current(folder: Path) -> str | None:
    """Which outcome of a folder of runs holds."""
    current = folder / "current"
    return str(current.readlink()) if current.is_symlink() and current.exists() else None


def _stamp(path: Path) -> list[int] | None:
    if not path.exists():
        return None
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _kept(settings: Settings, step: str) -> dict[str, Any]:
    before = _read(settings).get("steps", {})
    return {name: before[name] for name in STEPS[: STEPS.index(step)] if name in before}


def _read(settings: Settings) -> dict[str, Any]:
    try:
        record = json.loads(record_file(settings).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _write(settings: Settings, record: dict[str, Any]) -> None:
    file = record_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(file)
