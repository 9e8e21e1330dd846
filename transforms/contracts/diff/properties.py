"""Columns of an entity, mappings of a source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from transforms.contracts.diff import constraints
from transforms.contracts.diff.change import (
    Change,
    Compare,
    Kind,
    Place,
    compare_custom,
    compare_keys,
    cosmetic,
    ignored,
    keyed,
    show,
    undecided,
)
from transforms.contracts.diff.mappings import added_mapping, compare_mapping
from transforms.contracts.diff.quality import compare_quality
from transforms.contracts.parts import custom_property
from transforms.contracts.time_formats import to_strptime

_LEVELS = ("public", "internal", "confidential", "restricted")
_KEPT_BACK = "Models that publish the column are refused until they leave it out."
_OTHER_EVIDENCE = "Identities are resolved with other evidence: customer ids change."
_LEAVES = "PERSONAL DATA MAY NOW LEAVE the platform with the published file."
_MOMENTS = {"timestamp", "date"}


def compare_columns(place: Place, old: Any, new: Any) -> Iterator[Change]:
    """Properties by their names; their order means nothing."""
    before, after = keyed(old, "name"), keyed(new, "name")
    for name in dict.fromkeys((*after, *before)):
        (old_at, old_node), (new_at, new_node) = before.get(name, (None, {})), after.get(name, (None, {}))
        here = place.items(old_at, new_at, name)
        if old_at is None:
            yield _added(here, name, new_node)
        elif new_at is None:
            yield _removed(here)
        else:
            yield from _compare_column(here, old_node, new_node)


def _added(place: Place, name: str, node: Mapping[str, Any]) -> Change:
    if place.pair.kind is Kind.SOURCE:
        return added_mapping(place, name, node)
    tags = node.get("tags") or ()
    if "personal_data" in tags and custom_property(dict(node), "publish") == "allowed":
        return place.breaking("new column with personal data, publish: allowed", _LEAVES, alarm=True)
    if node.get("required") or node.get("primaryKey"):
        return place.breaking("new required column", "Sources that do not map it are refused by the lint.")
    return place.compatible("new optional column", "Null until a source maps it.")


def _removed(place: Place) -> Change:
    if place.pair.kind is Kind.SOURCE:
        return place.breaking("no longer mapped", "Null in every row of this source from the next load on.")
    return place.breaking("column removed", "Models and sources that name it fail.")


def _compare_column(place: Place, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    if place.pair.kind is Kind.SOURCE:
        yield from compare_mapping(place, old, new)
        yield from compare_keys(place, old, new, _SOURCE_KEYS)
        return
    yield from _compare_key(place, old, new)
    yield from _compare_protection(place, old, new)
    if (old.get("primaryKey") or old.get("required")) and (new.get("primaryKey") or new.get("required")):
        # A key column is required, whether it says so or not.
        old, new = {**old, "required": True}, {**new, "required": True}
    yield from compare_keys(place, old, new, _ENTITY_KEYS)


def _compare_key(place: Place, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, after = ((node.get("primaryKeyPosition", True) if node.get("primaryKey") else None) for node in (old, new))
    if before != after:
        message = "joins the primary key" if before is None else "leaves the primary key" if after is None else "moves"
        effect = "Another grain: other rows count as the same, and readers' joins change."
        yield place.child("primaryKey", "key").breaking(message, effect)


def _compare_protection(place: Place, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """Tags decide what is published and who is who."""
    before, after = set(old.get("tags") or ()), set(new.get("tags") or ())
    tags = place.child("tags", "tags")
    if "personal_data" in before - after:
        yield tags.breaking("personal_data removed", _LEAVES, alarm=True)
    if "personal_data" in after - before:
        yield tags.breaking("personal_data added", _KEPT_BACK)
    for word, tag in (("added", "identifier" in after - before), ("removed", "identifier" in before - after)):
        if tag:
            yield tags.breaking(f"identifier {word}", _OTHER_EVIDENCE)
    if before != after and not {"personal_data", "identifier"} & (before ^ after):
        yield tags.cosmetic(f"{show(sorted(before))} → {show(sorted(after))}")
    leaves, left = (custom_property(node, "publish") == "allowed" for node in (new, old))
    if leaves and not left:
        publish = place.child("customProperties", "publish")
        if "personal_data" in after:
            yield publish.breaking("now allowed", _LEAVES, alarm=True)
        else:
            yield publish.compatible("now allowed", "The column has no personal data by its tags.")
    elif left and not leaves:
        yield place.child("customProperties", "publish").breaking("no longer allowed", _KEPT_BACK)


def _options(place: Place, old: Any, new: Any) -> Iterator[Change]:
    known = {**constraints.OPTIONS, "format": _time_format, "defaultTimezone": _time_zone}
    yield from compare_keys(place, old or {}, new or {}, known)


def _time_format(place: Place, old: Any, new: Any) -> Iterator[Change]:
    try:
        same = old and new and to_strptime(old) == to_strptime(new)
    except ValueError:
        same = False
    if same:
        yield place.cosmetic(f"{show(old)} → {show(new)}", "It means the same.")
    else:
        yield place.breaking(f"{show(old)} → {show(new)}", "Times are read otherwise: rows are refused or move.")


def _time_zone(place: Place, old: Any, new: Any) -> Iterator[Change]:
    if (old or "UTC") != (new or "UTC"):
        yield place.breaking(f"{show(old or 'UTC')} → {show(new or 'UTC')}", "Every moment without a zone moves.")


def _provider_type(place: Place, old: Any, new: Any) -> Iterator[Change]:
    yield place.breaking(f"{show(old)} → {show(new)}", "The provider's values are read with another type.")


def _logical_type(place: Place, old: Any, new: Any) -> Iterator[Change]:
    if {old, new} & _MOMENTS and place.pair.kind is Kind.ENTITY:
        yield place.breaking(f"{show(old)} → {show(new)}", "Date patterns of the sources count for moments only.")
    else:
        yield place.cosmetic(f"{show(old)} → {show(new)}", "The physical type of the entity decides.")


def _classification(place: Place, old: Any, new: Any) -> Iterator[Change]:
    message = f"{show(old)} → {show(new)}"
    before, after = (_LEVELS.index(value) if value in _LEVELS else -1 for value in (old, new))
    if (old is not None and before < 0) or (new is not None and after < 0):
        yield place.undecided(old, new)
    elif after < before:
        yield place.breaking(message, "LESS PROTECTED than before.", alarm=True)
    else:
        yield place.compatible(message, "More protected than before.")


def _source_tags(place: Place, old: Any, new: Any) -> Iterator[Change]:
    removed = set(old or ()) - set(new or ())
    if removed & {"personal_data", "identifier"}:
        effect = "The entity's tags decide what leaves: make sure that its column has them still."
        yield place.compatible(f"{show(', '.join(sorted(removed)))} removed", effect, alarm=True)
    elif set(old or ()) != set(new or ()):
        yield place.cosmetic(f"{show(old)} → {show(new)}")


def _custom_properties(place: Place, old: Any, new: Any) -> Iterator[Change]:
    known: dict[str, Compare] = {"decimalSeparator": _decimal_separator}
    if place.pair.kind is Kind.ENTITY:
        known["publish"] = ignored
    yield from compare_custom(place, old, new, known)


def _decimal_separator(place: Place, old: Any, new: Any) -> Iterator[Change]:
    if (old or ".") != (new or "."):
        effect = "Numbers are read otherwise: rows are refused or change."
        yield place.breaking(f"{show(old or '.')} → {show(new or '.')}", effect)


_TEXTS = (
    "id", "description", "businessName", "deprecated", "synonyms", "authoritativeDefinitions", "examples",
    "transformDescription", "criticalDataElement", "semanticType", "encryptedName", "relationships",
)  # fmt: skip
_COMMON: dict[str, Compare] = {
    **dict.fromkeys(_TEXTS, cosmetic),
    "logicalType": _logical_type,
    "logicalTypeOptions": _options,
    "enum": constraints.enum,
    "required": constraints.required,
    "unique": constraints.unique,
    "classification": _classification,
    "customProperties": _custom_properties,
    "quality": compare_quality,
}
_ENTITY_KEYS: dict[str, Compare] = {
    **_COMMON,
    "physicalType": constraints.physical_type,
    "physicalName": cosmetic,
    "primaryKey": ignored,
    "primaryKeyPosition": ignored,
    "tags": ignored,
}
_SOURCE_KEYS: dict[str, Compare] = {
    **_COMMON,
    "physicalType": _provider_type,
    "physicalName": ignored,
    "transformLogic": ignored,
    "transformSourceObjects": ignored,
    "primaryKey": undecided,
    "primaryKeyPosition": undecided,
    "tags": _source_tags,
}
