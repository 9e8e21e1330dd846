"""Mappings of a source: where a column's values come from, and what they may do to rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from transforms.contracts.diff.change import Change, Place, show
from transforms.contracts.expressions import ExpressionError, normal_form, referenced_columns
from transforms.contracts.model import Entity
from transforms.contracts.parts import custom_property
from transforms.sql import identifier


def added_mapping(place: Place, name: str, node: Mapping[str, Any]) -> Change:
    """A column that was null in every row of the source so far."""
    reason = _why_it_breaks(place.pair.entities.get(_entity_name(place)), name)
    if reason or node.get("required"):
        return place.breaking("mapped now", reason or "Files without the column are refused.")
    return place.compatible("mapped now", "Was null in every row of this source.")


def compare_mapping(place: Place, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """Another expression is another value, unless both parse to the same."""
    before, after = _expression(old), _expression(new)
    key = "transformLogic" if new.get("transformLogic") is not None else "physicalName"
    at = place.child(key, "")
    if before is None or after is None or _normal(before) != _normal(after):
        yield at.breaking(
            f"{show(_source_text(old))} → {show(_source_text(new))}", "Values may change; rows may be refused."
        )
        return
    if before != after:
        yield at.cosmetic("expression written differently", "It means the same.")
    was, is_now = set(_reads(old)), set(_reads(new))
    listed = place.child("transformSourceObjects", "transformSourceObjects")
    if is_now - was:
        effect = "A file without it is refused where the column is required."
        yield listed.breaking(f"{show(', '.join(sorted(is_now - was)))} added", effect)
    elif was - is_now:
        yield listed.compatible(f"{show(', '.join(sorted(was - is_now)))} removed", "The expression did not read it.")


def _expression(node: Mapping[str, Any]) -> str | None:
    if node.get("transformLogic") is not None:
        return str(node["transformLogic"])
    return identifier(str(node["physicalName"])) if node.get("physicalName") is not None else None


def _normal(expression: str) -> str:
    try:
        return normal_form(expression)
    except ExpressionError:
        return expression


def _reads(node: Mapping[str, Any]) -> tuple[str, ...]:
    physical = (str(node["physicalName"]),) if node.get("physicalName") is not None else ()
    if node.get("transformLogic") is None:
        return physical
    return tuple(str(name) for name in node.get("transformSourceObjects") or ()) or physical


def _source_text(node: Mapping[str, Any]) -> Any:
    return node["transformLogic"] if node.get("transformLogic") is not None else node.get("physicalName")


def _why_it_breaks(entity: Entity | None, name: str) -> str:
    """What may refuse a row, or join people, once a column that was null has values; '' if nothing can."""
    if entity is None:
        return "Cannot be decided without the entity: treated as breaking."
    columns = {column.name: column for column in entity.columns}
    if name not in columns:
        return "The entity has no such column."
    column = columns[name]
    if column.is_identifier:
        return "An identifier: people may be joined who were apart, and customer ids change."
    limits = (column.enum, column.minimum, column.maximum, column.max_length, column.pattern)
    ruled = any((name,) in referenced_columns(rule.expression) for rule in entity.rules)
    if column.physical_type != "VARCHAR" or any(limit not in (None, ()) for limit in limits) or ruled:
        return "Rows whose value breaks the entity's rules are quarantined, though they passed without it."
    return ""


def _entity_name(place: Place) -> str:
    schema = place.pair.new.data["schema"][0]
    return str(custom_property(schema, "entity", schema.get("name")))
