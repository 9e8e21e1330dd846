"""Service levels: a weaker promise breaks who relied on it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from transforms.contracts.diff.change import Change, Place, show


def compare_promises(place: Place, old: Any, new: Any) -> Iterator[Change]:
    """Freshness is watched by a check; the others are promises between people."""
    before, after = _by_element(old), _by_element(new)
    for name in dict.fromkeys((*after, *before)):
        (old_at, old_item), (new_at, new_item) = before.get(name, (None, {})), after.get(name, (None, {}))
        here = place.items(old_at, new_at, name)
        if (new_item or old_item).get("property") == "freshness":
            yield from _freshness(here, old_item, new_item)
        elif any(old_item.get(key) != new_item.get(key) for key in ("value", "unit", "valueExt")):
            message = f"{_period(old_item)} → {_period(new_item)}"
            yield here.compatible(message, "A promise between people: the platform does not watch it.")
        elif old_item != new_item:
            yield here.cosmetic("text changed")


def _by_element(items: Any) -> dict[str, tuple[int, dict[str, Any]]]:
    result: dict[str, tuple[int, dict[str, Any]]] = {}
    for index, item in enumerate(items or []):
        # The platform watches one freshness, whatever element it names.
        element = "" if item.get("property") == "freshness" else f" {item.get('element', '')}"
        result.setdefault(f"{item.get('property')}{element}".strip(), (index, item))
    return result


def _freshness(place: Place, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, after = _duration(old), _duration(new)
    message = f"{_period(old)} → {_period(new)}"
    if (old and before is None) or (new and after is None):
        yield place.undecided(_period(old), _period(new))
    elif after is None or (before is not None and after > before):
        yield place.breaking(message, "A weaker promise: readers may meet older data before anybody is warned.")
    elif before is None or after < before:
        yield place.compatible(message, "A stronger promise: the check warns earlier, and stops nothing.")
    elif old != new:
        yield place.cosmetic("text changed")


def _duration(item: Mapping[str, Any]) -> dt.timedelta | None:
    unit = {"d": 24.0, "h": 1.0}.get(str(item.get("unit", "d"))[:1])
    value = item.get("value")
    return dt.timedelta(hours=value * unit) if unit and isinstance(value, int | float) else None


def _period(item: Mapping[str, Any]) -> str:
    return f"{show(item.get('value'))} {item.get('unit') or ''}".strip() if item else "nothing"
