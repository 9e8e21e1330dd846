"""Row rules and dataset rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from transforms.contracts.diff.change import Change, Compare, Place, compare_keys, cosmetic, show
from transforms.contracts.diff.constraints import bound
from transforms.contracts.expressions import ExpressionError, normal_form

_TEXTS = (
    "id", "description", "dimension", "businessImpact", "authoritativeDefinitions", "tags", "schedule", "scheduler",
)  # fmt: skip
_QUARANTINED = "Rows that passed before are quarantined."
_MAY_FAIL = "Loads that passed before may fail the check."


def compare_quality(place: Place, old: Any, new: Any) -> Iterator[Change]:
    """Rules by their names; a rule without one by what it checks."""
    before, after = _named(old), _named(new)
    for name in dict.fromkeys((*after, *before)):
        (old_at, old_rule), (new_at, new_rule) = before.get(name, (None, {})), after.get(name, (None, {}))
        here = place.items(old_at, new_at, name)
        if old_at is None and _only_warns(new_rule):
            yield here.compatible("new rule", "It only warns.")
        elif old_at is None:
            yield here.breaking("new rule", _QUARANTINED if new_rule.get("type") == "custom" else _MAY_FAIL)
        elif new_at is None:
            yield here.compatible("rule removed", "Readers may meet what it kept out.")
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
    before, after = old or "error", new or "error"
    if after == "error" and before != "error":
        yield place.breaking(f"{show(before)} → {show(after)}", "What only warned may fail now.")
    elif before != after:
        yield place.compatible(f"{show(before)} → {show(after)}")


def _only_warns(rule: dict[str, Any]) -> bool:
    """Row rules quarantine whatever their severity."""
    return rule.get("type", "library") == "library" and rule.get("severity") == "warning"


def _at_least(place: Place, old: Any, new: Any) -> Iterator[Change]:
    yield from bound(place, old, new, tighter=lambda before, after: after > before, refused=_MAY_FAIL)


def _at_most(place: Place, old: Any, new: Any) -> Iterator[Change]:
    yield from bound(place, old, new, tighter=lambda before, after: after < before, refused=_MAY_FAIL)


_KEYS: dict[str, Compare] = {
    **dict.fromkeys(_TEXTS, cosmetic),
    **dict.fromkeys(("mustBeGreaterThan", "mustBeGreaterOrEqualTo"), _at_least),
    **dict.fromkeys(("mustBeLessThan", "mustBeLessOrEqualTo"), _at_most),
    "implementation": _implementation,
    "severity": _severity,
}
