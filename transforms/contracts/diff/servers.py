"""Where a source is pulled from, and how its bytes are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from transforms.contracts.diff.change import Change, Compare, Place, compare_custom, compare_keys, cosmetic, keyed, show

_SERVER_TEXTS = ("id", "server", "description", "environment", "roles")
_SERVER_PLACES = (
    "path", "location", "endpointUrl", "host", "port", "database", "account", "region", "project", "stagingDir",
)  # fmt: skip
# What opens a store; contracts name secrets and never hold them.
_DOORS = (
    "accessKey", "secretKey", "sessionToken", "accountKey", "sasToken", "accessToken", "secretOptions", "options",
    "region", "anonymous", "user", "password", "auth",
)  # fmt: skip
_PACES = ("statementTimeout", "requestTimeout", "retries", "requestsPerSecond", "maxPageMegabytes")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


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
    known: dict[str, Compare] = {
        **dict.fromkeys(_DOORS, _opened_otherwise),
        **dict.fromkeys(_PACES, _pulled_otherwise),
        "delimiter": _delimiter,
        "allowHttp": _allow_http,
        "sslmode": _sslmode,
    }
    yield from compare_custom(place, old, new, known, otherwise=_read_otherwise)


def _opened_otherwise(place: Place, old: Any, new: Any) -> Iterator[Change]:
    yield place.compatible("changed", "Another way in to the same data.")


def _pulled_otherwise(place: Place, old: Any, new: Any) -> Iterator[Change]:
    yield place.compatible(f"{show(old)} → {show(new)}", "Another pace; the rows are the same.")


def _allow_http(place: Place, old: Any, new: Any) -> Iterator[Change]:
    yield from _protection(place, show(old), show(new), bool(old) - bool(new))


def _sslmode(place: Place, old: Any, new: Any) -> Iterator[Change]:
    before, after = old or "require", new or "require"
    if before not in _SSL_MODES or after not in _SSL_MODES:
        yield place.undecided(old, new)
    else:
        yield from _protection(place, before, after, _SSL_MODES.index(after) - _SSL_MODES.index(before))


def _protection(place: Place, old: str, new: str, gain: int) -> Iterator[Change]:
    if gain < 0:
        effect = "PERSONAL DATA MAY BE READ ON THE WAY: the connection is less protected than before."
        yield place.breaking(f"{old} → {new}", effect, alarm=True)
    elif gain > 0:
        yield place.compatible(f"{old} → {new}", "Better protected on the way.")


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
