"""A contract outside its columns: what it is called, its thresholds, what its rows become."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from transforms.contracts.diff.change import (
    Change,
    Compare,
    Kind,
    Pair,
    Place,
    compare_custom,
    compare_keys,
    cosmetic,
    ignored,
    keyed,
    show,
)
from transforms.contracts.diff.promises import compare_promises
from transforms.contracts.diff.properties import compare_columns
from transforms.contracts.diff.quality import compare_quality
from transforms.contracts.diff.servers import compare_servers, compare_table

_RETIRED = {"deprecated", "retired"}


def compare_documents(pair: Pair) -> tuple[Change, ...]:
    """Every difference of two versions of a contract; the version number itself is judged elsewhere."""
    known = _SOURCE if pair.kind is Kind.SOURCE else _ENTITY
    return tuple(compare_keys(pair.root, pair.old.data, pair.new.data, known))


def _schema(place: Place, old: Any, new: Any) -> Iterator[Change]:
    known = _SOURCE_SCHEMA if place.pair.kind is Kind.SOURCE else _ENTITY_SCHEMA
    yield from compare_keys(place.child(0, ""), old[0], new[0], known)


def _name(place: Place, old: Any, new: Any) -> Iterator[Change]:
    effect = "Everybody who names it has to follow; landed files and customer ids belong to the old name."
    yield place.breaking(f"{show(old)} → {show(new)}", effect)


def _identity(place: Place, old: Any, new: Any) -> Iterator[Change]:
    yield place.compatible(f"{show(old)} → {show(new)}", "Catalogues that know the contract by its id lose it.")


def _status(place: Place, old: Any, new: Any) -> Iterator[Change]:
    if new in _RETIRED:
        yield place.compatible(f"{show(old)} → {show(new)}", "Readers should move on; it is loaded still.")
    else:
        yield place.cosmetic(f"{show(old)} → {show(new)}")


def _source_properties(place: Place, old: Any, new: Any) -> Iterator[Change]:
    known: dict[str, Compare] = {
        "entity": _entity,
        "phoneRegion": _phone_region,
        "ignoreColumns": _ignored_columns,
        "loadMode": _default("append", "A second row of a key means another thing now."),
        "latestBy": _default("_received_at", "Another version of a key may count as the latest."),
        "quarantineBlockRate": _share(0.2, "Loads that passed before may stop everything downstream."),
        "deliveredAt": _default(None, "Files may follow one another in another order, and hold since another moment."),
        "maxDeletedShare": _share(0.2, "Files that passed before may be refused."),
        "quarantineWarnRate": _warn_rate,
    }
    yield from compare_custom(place, old, new, known)


def _entity_properties(place: Place, old: Any, new: Any) -> Iterator[Change]:
    known: dict[str, Compare] = {"occurredAt": _default(None, "Everything that is ordered or cut by time moves.")}
    yield from compare_custom(place, old, new, known)


def _entity(place: Place, old: Any, new: Any) -> Iterator[Change]:
    schema = (place.pair.old.data["schema"][0], place.pair.new.data["schema"][0])
    before, after = old or schema[0].get("name"), new or schema[1].get("name")
    if before != after:
        yield place.breaking(f"{show(before)} → {show(after)}", "The rows become records of another kind.")


def _phone_region(place: Place, old: Any, new: Any) -> Iterator[Change]:
    effect = "National telephone numbers stand for other people: customer ids change."
    yield place.breaking(f"{show(old)} → {show(new)}", effect)


def _ignored_columns(place: Place, old: Any, new: Any) -> Iterator[Change]:
    if set(old or ()) != set(new or ()):
        effect = "Columns listed there are neither kept in _extra nor reported as new."
        yield place.compatible(f"{show(', '.join(old or ()))} → {show(', '.join(new or ()))}", effect)


def _default(default: Any, effect: str) -> Compare:
    def compare(place: Place, old: Any, new: Any) -> Iterator[Change]:
        before, after = default if old is None else old, default if new is None else new
        if before != after:
            yield place.breaking(f"{show(before)} → {show(after)}", effect)

    return compare


def _share(default: float, effect: str) -> Compare:
    def compare(place: Place, old: Any, new: Any) -> Iterator[Change]:
        before, after = default if old is None else old, default if new is None else new
        if before != after:
            message = f"{show(before)} → {show(after)}"
            yield (
                place.breaking(message, effect) if after < before else place.compatible(message, "More is let through.")
            )

    return compare


def _warn_rate(place: Place, old: Any, new: Any) -> Iterator[Change]:
    if (0.01 if old is None else old) != (0.01 if new is None else new):
        yield place.compatible(f"{show(old)} → {show(new)}", "A check warns at another share; nothing stops.")


_TEXTS = (
    "apiVersion", "kind", "description", "team", "domain", "dataProduct", "tenant", "tags", "context", "support",
    "price", "roles", "authoritativeDefinitions", "contractCreatedTs", "slaDefaultElement",
)  # fmt: skip
_COMMON: dict[str, Compare] = {
    **dict.fromkeys(_TEXTS, cosmetic),
    "version": ignored,
    "id": _identity,
    "status": _status,
    "schema": _schema,
    "slaProperties": compare_promises,
}
_SOURCE: dict[str, Compare] = {**_COMMON, "name": _name, "servers": compare_servers}
_ENTITY: dict[str, Compare] = {**_COMMON, "name": cosmetic}

_SCHEMA_TEXTS = (
    "id", "description", "businessName", "dataGranularityDescription", "authoritativeDefinitions", "tags", "synonyms",
    "deprecated", "relationships", "context", "logicalType", "physicalType",
)  # fmt: skip
_COMMON_SCHEMA: dict[str, Compare] = {
    **dict.fromkeys(_SCHEMA_TEXTS, cosmetic),
    "properties": compare_columns,
    "quality": compare_quality,
}


def _schema_name(place: Place, old: Any, new: Any) -> Iterator[Change]:
    names = [
        keyed(version.data["schema"][0].get("customProperties"), "property").get("entity")
        for version in (place.pair.old, place.pair.new)
    ]
    if all(names):
        yield place.cosmetic(f"{show(old)} → {show(new)}")  # the property 'entity' says what the rows become
    elif not any(names):
        yield from _entity(place, old, new)


_SOURCE_SCHEMA: dict[str, Compare] = {
    **_COMMON_SCHEMA,
    "name": _schema_name,
    "physicalName": compare_table,
    "customProperties": _source_properties,
}
_ENTITY_SCHEMA: dict[str, Compare] = {
    **_COMMON_SCHEMA,
    "name": _name,
    "physicalName": cosmetic,
    "customProperties": _entity_properties,
}
