"""Rules on the values of a column: which of two is the stricter one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from transforms.contracts.diff.change import Change, Compare, Kind, Place, cosmetic, show, undecided

_DECIMAL = re.compile(r"DECIMAL\((\d+)(?:,(\d+))?\)")
_REFUSED = "Rows that passed before are quarantined."
_WIDER = "Nothing is refused that passed before; readers may meet values that they have not seen."


def lower_bound(place: Place, old: Any, new: Any) -> Iterator[Change]:
    """``minimum`` and its kind: a higher one refuses more."""
    yield from bound(place, old, new, tighter=lambda before, after: after > before)


def upper_bound(place: Place, old: Any, new: Any) -> Iterator[Change]:
    """``maximum`` and its kind: a lower one refuses more."""
    yield from bound(place, old, new, tighter=lambda before, after: after < before)


def bound(
    place: Place, old: Any, new: Any, tighter: Callable[[Any, Any], bool], refused: str = _REFUSED
) -> Iterator[Change]:
    """A limit, where ``tighter`` says whether the second of two refuses more; no limit refuses nothing."""
    message = f"{show(old)} → {show(new)}"
    if new is None:
        yield place.compatible(f"removed (was {show(old)})", _WIDER)
    elif old is None:
        yield place.breaking(f"added: {show(new)}", refused)
    elif not (_is_number(old) and _is_number(new)):
        yield place.undecided(old, new)
    elif old != new:
        yield place.breaking(message, refused) if tighter(old, new) else place.compatible(message, _WIDER)


def pattern(place: Place, old: Any, new: Any) -> Iterator[Change]:
    """Whether one regular expression includes another is not decided."""
    if new is None:
        yield place.compatible(f"removed (was {show(old)})", _WIDER)
    elif old is None:
        yield place.breaking(f"added: {show(new)}", _REFUSED)
    else:
        yield place.undecided(old, new)


def enum(place: Place, old: Any, new: Any) -> Iterator[Change]:
    """Allowed values; no list allows everything."""
    before, after = ([str(item["value"]) for item in items or []] for items in (old, new))
    removed = [value for value in before if value not in after]
    added = [value for value in after if value not in before]
    if before and not after:
        yield place.compatible(f"removed (was {show(before)})", _WIDER)
    elif after and not before:
        yield place.breaking(f"added: {show(after)}", _REFUSED)
    elif removed:
        yield place.breaking(f"value removed: {show(', '.join(removed))}", "Rows with it are quarantined.")
    if before and added:
        effect = "May surprise readers: they meet a value that was not there before."
        yield place.compatible(f"value added: {show(', '.join(added))}", effect)
    if not removed and not added:
        yield from cosmetic(place, old, new)


def required(place: Place, old: Any, new: Any) -> Iterator[Change]:
    """An entity promises its readers a value, a source promises the gate a column."""
    if bool(old) == bool(new):
        return
    entity = place.pair.kind is Kind.ENTITY
    if new:
        effect = "Rows without a value are quarantined." if entity else "Files without the column are refused."
        yield place.breaking("now required", effect)
    elif entity:
        yield place.breaking("no longer required", "Readers meet nulls where there were none.")
    else:
        yield place.compatible("no longer required", "A file without the column counts as all null.")


def unique(place: Place, old: Any, new: Any) -> Iterator[Change]:
    """A promise that every value occurs once."""
    if bool(new) and not bool(old):
        yield place.breaking("now unique", "Repeated values break the promise.")
    elif bool(old) and not bool(new):
        yield place.breaking("no longer unique", "Joins on the column may multiply rows.")


def physical_type(place: Place, old: Any, new: Any) -> Iterator[Change]:
    """Only a decimal with at least as many digits on both sides of the point holds all that the old type held."""
    before, after = (re.sub(r"\s", "", str(value or "")).upper() for value in (old, new))
    if before == after:
        return
    narrow, wide = _DECIMAL.fullmatch(before), _DECIMAL.fullmatch(after)
    message = f"{show(old)} → {show(new)}"
    if narrow and wide:
        (digits, scale), (more_digits, more_scale) = (
            (int(match.group(1)), int(match.group(2) or 0)) for match in (narrow, wide)
        )
        if more_scale >= scale and more_digits - more_scale >= digits - scale:
            yield place.compatible(message, "The wider type holds every value of the old one.")
            return
        yield place.breaking(message, "The type is narrower: rows that passed are quarantined, models may overflow.")
        return
    yield place.breaking(message, "Another type: models that read the column and rows that passed before may fail.")


OPTIONS: dict[str, Compare] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), lower_bound),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), upper_bound),
    "pattern": pattern,
    "multipleOf": undecided,
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
