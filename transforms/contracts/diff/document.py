"""A contract outside its columns: what it is called, where it is pulled from, its thresholds and promises."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from transforms.contracts.diff.change import (
    Change,
    Compare,
    Kind,
    Pair,
    Place,
    compare_keys,
    cosmetic,
    ignored,
    keyed,
    show,
    undecided,
)
from transforms.contracts.diff.properties import compare_columns
from transforms.contracts.diff.quality import compare_quality

_RETIRED = {"deprecated", "retired"}
_SERVER_TEXTS = ("id", "server", "description", "environment", "roles")
_SERVER_PLACES = (
    "path", "location", "endpointUrl", "host", "port", "database", "account", "region", "project", "stagingDir",
)  # fmt: skip


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


def _servers(place: Place, old: Any, new: Any) -> Iterator[Change]:
    if len(old or ()) != 1 or len(new or ()) != 1:
        yield place.undecided(len(old or ()), len(new or ()))
        return
    known: dict[str, Compare] = {
        **dict.fromkeys(_SERVER_TEXTS, cosmetic),
        **dict.fromkeys(_SERVER_PLACES, _moved),
        "type": _moved,
        "format": _read_otherwise,
        "encoding": _encoding,
        "customProperties": _server_properties,
    }
    yield from compare_keys(place.child(0, "server"), old[0], new[0], known)


def _moved(place: Place, old: Any, new: Any) -> Iterator[Change]:
    if _load_mode(place.pair.new.data) == "snapshot":
        yield place.breaking(
            f"{show(old)} → {show(new)}", "Each file is the whole table: what the new place lacks is deleted."
        )
    else:
        yield place.compatible(
            f"{show(old)} → {show(new)}", "Pulled from elsewhere: make sure that the data is the same."
        )


def _load_mode(data: Mapping[str, Any]) -> Any:
    found = keyed(data["schema"][0].get("customProperties"), "property").get("loadMode")
    return found[1].get("value") if found else None


def _read_otherwise(place: Place, old: Any, new: Any) -> Iterator[Change]:
    yield place.breaking(f"{show(old)} → {show(new)}", "Files that were read before are refused or read otherwise.")


def _encoding(place: Place, old: Any, new: Any) -> Iterator[Change]:
    before, after = (str(value or "UTF-8").upper().replace("-", "") for value in (old, new))
    if before != after:
        yield from _read_otherwise(place, old or "UTF-8", new or "UTF-8")


def _server_properties(place: Place, old: Any, new: Any) -> Iterator[Change]:
    yield from _custom(place, old, new, {"delimiter": _delimiter}, otherwise=_read_otherwise)


def _delimiter(place: Place, old: Any, new: Any) -> Iterator[Change]:
    if (old or ",") != (new or ","):
        yield from _read_otherwise(place, repr(old or ","), repr(new or ","))


def _custom(
    place: Place, old: Any, new: Any, known: Mapping[str, Compare], otherwise: Compare = undecided
) -> Iterator[Change]:
    """Custom properties by their names."""
    before, after = keyed(old, "property"), keyed(new, "property")
    for name in dict.fromkeys((*after, *before)):
        (old_at, old_item), (new_at, new_item) = before.get(name, (None, {})), after.get(name, (None, {}))
        was, is_now = old_item.get("value"), new_item.get("value")
        if was != is_now:
            yield from known.get(name, otherwise)(place.items(old_at, new_at, name), was, is_now)


def _source_properties(place: Place, old: Any, new: Any) -> Iterator[Change]:
    known: dict[str, Compare] = {
        "entity": _entity,
        "phoneRegion": _phone_region,
        "ignoreColumns": _ignored_columns,
        "loadMode": _default("append", "A second row of a key means another thing now."),
        "latestBy": _default("_received_at", "Another version of a key may count as the latest."),
        "quarantineBlockRate": _share(0.2, "Loads that passed before may stop everything downstream."),
        "maxDeletedShare": _share(0.2, "Files that passed before may be refused."),
        "quarantineWarnRate": _warn_rate,
    }
    yield from _custom(place, old, new, known)


def _entity_properties(place: Place, old: Any, new: Any) -> Iterator[Change]:
    known: dict[str, Compare] = {"occurredAt": _default(None, "Everything that is ordered or cut by time moves.")}
    yield from _custom(place, old, new, known)


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


def _promises(place: Place, old: Any, new: Any) -> Iterator[Change]:
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
    "slaProperties": _promises,
}
_SOURCE: dict[str, Compare] = {**_COMMON, "name": _name, "servers": _servers}
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


def _table(place: Place, old: Any, new: Any) -> Iterator[Change]:
    """Files have no table; a database pulls the one that is named here."""
    servers = place.pair.new.data.get("servers") or [{}]
    if servers[0].get("type") in {"local", "s3", "gcs", "azure"}:
        yield place.cosmetic(f"{show(old)} → {show(new)}")
    else:
        yield place.breaking(f"{show(old)} → {show(new)}", "Another table is pulled.")


_SOURCE_SCHEMA: dict[str, Compare] = {
    **_COMMON_SCHEMA,
    "name": _schema_name,
    "physicalName": _table,
    "customProperties": _source_properties,
}
_ENTITY_SCHEMA: dict[str, Compare] = {
    **_COMMON_SCHEMA,
    "name": _name,
    "physicalName": cosmetic,
    "customProperties": _entity_properties,
}
