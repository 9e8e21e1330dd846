"""Where a source is pulled from, and how its bytes are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from transforms.contracts.diff.change import Change, Compare, Place, compare_custom, compare_keys, cosmetic, keyed, show

_SERVER_TEXTS = ("id", "server", "description", "environment", "roles")
_SERVER_PLACES = (
    "path", "location", "endpointUrl", "host", "port", "database", "account", "region", "project", "stagingDir",
)  # fmt: skip


def compare_servers(place: Place, old: Any, new: Any) -> Iterator[Change]:
    """A contract has one server: another place may hold the same data, another format cannot."""
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
    yield from compare_custom(place, old, new, {"delimiter": _delimiter}, otherwise=_read_otherwise)


def _delimiter(place: Place, old: Any, new: Any) -> Iterator[Change]:
    if (old or ",") != (new or ","):
        yield from _read_otherwise(place, repr(old or ","), repr(new or ","))


def compare_table(place: Place, old: Any, new: Any) -> Iterator[Change]:
    """Files have no table; a database pulls the one that is named here."""
    servers = place.pair.new.data.get("servers") or [{}]
    if servers[0].get("type") in {"local", "s3", "gcs", "azure"}:
        yield place.cosmetic(f"{show(old)} → {show(new)}")
    else:
        yield place.breaking(f"{show(old)} → {show(new)}", "Another table is pulled.")
