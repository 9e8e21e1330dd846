"""Row rules and dataset rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from transforms.contracts.diff.change import Change, Compare, Place, compare_keys, cosmetic, show, undecided
from transforms.contracts.expressions import ExpressionError, normal_form

_TEXTS = (
    "id",
    "description",
    "dimension",
    "businessImpact",
    "authoritativeDefinitions",
    "tags",
    "schedule",
    "scheduler",
)


def compare_quality(place: Place, old: Any, new: Any) -> Iterator[Change]:
    """Rules by their names; a rule without one by what it checks."""
    before, after = _named(old), _named(new)
    for name in dict.fromkeys((*after, *before)):
        (old_at, old_rule), (new_at, new_rule) = before.get(name, (None, {})), after.get(name, (None, {}))
        here = place.items(old_at, new_at, name)
        rows = (new_rule or old_rule).get("type") == "custom"
        if old_at is None:
            effect = (
                "Rows that passed before are quarantined." if rows else "Loads that passed before may fail the check."
            )
            yield here.breaking("new rule", effect)
        elif new_at is None:
            yield here.compatible(
                "rule removed", "Nothing is refused that passed before; readers may meet what it kept out."
            )
        else:
            yield from compare_keys(here, old_rule, new_rule, _KEYS)


def _named(items: Any) -> dict[str, tuple[int, dict[str, Any]]]:
    result: dict[str, tuple[int, dict[str, Any]]] = {}
    for index, item in enumerate(items or []):
        name = item.get("name") or " ".join(str(item[key]) for key in ("metric", "rule", "query") if item.get(key))
        # Several rules may share a metric: the order tells them apart.
        while (name or "rule") in result:
            name = f"{name}'"
        result[name or "rule"] = (index, item)
    return result


def _implementation(place: Place, old: Any, new: Any) -> Iterator[Change]:
    if isinstance(old, str) and isinstance(new, str):
        try:
            same = normal_form(old) == normal_form(new)
        except ExpressionError:
            same = False
        if same:
            yield place.cosmetic("expression written differently", "It means the same.")
            return
    yield place.breaking(f"{show(old)} → {show(new)}", "Cannot be decided which refuses more: treated as breaking.")


def _severity(place: Place, old: Any, new: Any) -> Iterator[Change]:
    message = f"{show(old)} → {show(new)}"
    # Without a severity a rule is an error.
    if new in (None, "error") and old not in (None, "error"):
        yield place.breaking(message, "What only warned may fail now.")
    elif {old, new} != {None, "error"}:
        yield place.compatible(message)


_KEYS: dict[str, Compare] = {
    **dict.fromkeys(_TEXTS, cosmetic),
    "implementation": _implementation,
    "severity": _severity,
    "type": undecided,
}
