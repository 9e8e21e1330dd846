"""Servers that are HTTP APIs: pages of JSON records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from transforms.contracts.document import Document, NodePath, Problem
from transforms.contracts.model import Server
from transforms.contracts.parts import closest
from transforms.contracts.servers.api_options import (
    AUTHS,
    OPTIONS,
    PAGINATORS,
    REQUIRED,
    TEXT,
    JsonPath,
    Kind,
    order_of,
)

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# What only a secret is called; a contract names secrets, it holds none.
_SECRET = re.compile(r"(^|[-_.])(authorization|cookie|token|secret|password|signature|key)$|apikey$", re.I)


@dataclass(frozen=True)
class Auth:
    """How requests prove who asks. ``secret`` and ``username`` are names of secrets, never values."""

    type: str
    secret: str | None
    username: str | None = None
    name: str = "Authorization"
    location: str = "header"


@dataclass(frozen=True)
class Incremental:
    """How a pull asks only for what changed: ``param`` gets the highest ``path`` seen, less ``overlap``.

    ``overlap`` is in seconds for timestamps, in the values' own unit for numbers.
    """

    param: str
    path: JsonPath
    type: str = "timestamp"
    overlap: Decimal = Decimal(0)
    initial_value: str | None = None


@dataclass(frozen=True)
class ApiServer(Server):
    """An endpoint that answers GET with pages of JSON. ``options`` are those of dlt's paginator of that name."""

    location: str = ""
    paginator: str = "single_page"
    options: Mapping[str, Any] = field(default_factory=dict)
    data_selector: JsonPath = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    auth: Auth | None = None
    incremental: Incremental | None = None
    page_limit: int = 10_000
    max_records: int = 10_000_000
    max_page_megabytes: float = 64
    request_timeout: float = 30
    retries: int = 5
    requests_per_second: float | None = None
    allow_http: bool = False


@dataclass
class _Lint:
    """Faults of one server, with the place of each."""

    document: Document
    problems: list[Problem]
    places: dict[str, NodePath] = field(default_factory=dict)

    def add(self, at: NodePath, message: str, remedy: str = "") -> None:
        self.problems.append(self.document.problem(at, message, remedy))

    def read(self, at: NodePath, name: str, value: Any, known: Mapping[str, Kind]) -> Any:
        """Value of an option; None with a fault where the name or the value is unknown."""
        if name not in known:
            self.add(at, f"there is no option '{name}' here.", closest(name, known) if known else "Leave it out.")
            return None
        reader, remedy = known[name]
        result = reader(value)
        if result is None:
            self.add(at, f"{name} cannot be {value!r}.", remedy)
        return result

    def typed(self, at: NodePath, what: str, value: Any, kinds: Mapping[str, dict[str, Kind]]) -> dict[str, Any] | None:
        """A name, or a mapping with ``type`` and the options of that type."""
        node = value if isinstance(value, dict) else {"type": value}
        kind = str(node.get("type"))
        if kind not in kinds:
            self.add((*at, "value", "type"), f"there is no {what} '{kind}'.", closest(kind, kinds))
            return None
        result: dict[str, Any] = {"type": kind}
        for name, given in node.items():
            if name != "type":
                result[name] = self.read((*at, "value", name), name, given, kinds[kind])
        for name in REQUIRED.get(kind, ()):
            if name not in node:
                self.add(at, f"the {what} '{kind}' needs '{name}'.", kinds[kind][name][1])
        return result


def build_api_server(
    document: Document, node: dict[str, Any], schema: dict[str, Any], problems: list[Problem]
) -> ApiServer | None:
    """An HTTP API; faults go to ``problems``."""
    lint = _Lint(document, problems)
    options: dict[str, Any] = {}
    for at, name, value in _custom_properties(node):
        if name in lint.places:
            lint.add(at, f"'{name}' stands here twice.", "Keep one of them.")
        lint.places[name] = at
        if name == "paginator":
            options[name] = lint.typed(at, "paginator", value, PAGINATORS)
        elif name == "auth":
            options[name] = lint.typed(at, "auth", value, AUTHS)
        else:
            options[name] = lint.read(at, name, value, {**OPTIONS, "paginator": TEXT, "auth": TEXT})
    given = {name: value for name, value in options.items() if value is not None}
    _refuse_secrets(lint, given)
    location = str(node.get("location") or "")
    _check_location(lint, location, bool(given.get("allowHttp")))
    paginator = dict(given.get("paginator") or {"type": "single_page"})
    fields = {
        "data_selector": "dataSelector",
        "params": "params",
        "headers": "headers",
        "page_limit": "pageLimit",
        "max_records": "maxRecords",
        "max_page_megabytes": "maxPageMegabytes",
        "request_timeout": "requestTimeout",
        "retries": "retries",
        "requests_per_second": "requestsPerSecond",
        "allow_http": "allowHttp",
    }
    return ApiServer(
        type="api",
        format="json",
        location=location,
        paginator=paginator.pop("type"),
        options=paginator,
        auth=_auth(given.get("auth")),
        incremental=_incremental(lint, given),
        **{name: given[option] for name, option in fields.items() if option in given},
    )


def _custom_properties(node: dict[str, Any]) -> Iterator[tuple[NodePath, str, Any]]:
    for index, item in enumerate(node.get("customProperties") or []):
        yield ("servers", 0, "customProperties", index), str(item.get("property")), item.get("value")


def _check_location(lint: _Lint, location: str, allow_http: bool) -> None:
    at: NodePath = ("servers", 0, "location")
    try:
        url = urlsplit(location)
        host, _ = url.hostname, url.port
    except ValueError as error:
        lint.add(at, f"the location is no URL: {error}.", "Give one such as https://api.example.com/v1/orders.")
        return
    if url.scheme not in {"http", "https"} or not host:
        lint.add(at, f"the location '{location}' is no http(s) URL.", "Give one such as https://api.example.com/v1.")
    elif url.scheme == "http" and host not in LOOPBACK and not allow_http:
        message = f"{host} would be asked in plain text, secrets and personal data with it."
        lint.add(at, message, "Use https://, or set allowHttp: true where the network is trusted.")
    if url.username is not None or url.password is not None:
        lint.add(at, "the location holds a user or a password.", "Use auth with the name of a secret.")
    if url.query or url.fragment:
        lint.add(at, "the location holds a query or a fragment.", "Put constant parameters under params.")


def _refuse_secrets(lint: _Lint, given: dict[str, Any]) -> None:
    for group in ("params", "headers"):
        for name in given.get(group) or {}:
            if _SECRET.search(name):
                at = (*lint.places[group], "value", name)
                message = f"'{name}' under {group} looks like a secret, which a contract never holds."
                lint.add(at, message, "Use auth with the name of a secret.")


def _auth(node: dict[str, Any] | None) -> Auth | None:
    if node is None:
        return None
    secret = node.get("token") or node.get("api_key") or node.get("password")
    place = {key: node[key] for key in ("username", "name", "location") if node.get(key)}
    return Auth(node["type"], secret, **place)


def _incremental(lint: _Lint, given: dict[str, Any]) -> Incremental | None:
    names = [name for name in ("cursorParam", "cursorPath", "cursorType", "overlap", "initialValue") if name in given]
    if not names:
        return None
    missing = [name for name in ("cursorParam", "cursorPath") if name not in lint.places]
    if missing:
        remedy = "An incremental pull needs both: the query parameter, and the field of a record that fills it."
        lint.add(lint.places[names[0]], f"{names[0]} without {' and '.join(missing)}.", remedy)
        return None
    kind = given.get("cursorType", "timestamp")
    initial = str(given["initialValue"]) if "initialValue" in given else None
    if initial is not None and order_of(kind, initial) is None:
        remedy = "Give one, such as '2025-01-01T00:00:00Z' for a timestamp, or set cursorType."
        lint.add(lint.places["initialValue"], f"initialValue '{initial}' is no {kind}.", remedy)
    overlap = _overlap(kind, given.get("overlap", 0))
    if overlap is None:
        remedy = {"timestamp": "Give a span such as 15m, 2h or 1d.", "number": "Give a number from 0."}
        message = f"overlap cannot be {given['overlap']!r} for a cursor of type {kind}."
        lint.add(lint.places["overlap"], message, remedy.get(kind, "Leave it out."))
    return Incremental(given.get("cursorParam", ""), given.get("cursorPath", ()), kind, overlap or Decimal(0), initial)


def _overlap(kind: str, value: Any) -> Decimal | None:
    """Overlap in seconds for timestamps, in its own unit for numbers; None where it makes no sense."""
    text = str(value)
    if text == "0":
        return Decimal(0)
    if kind == "timestamp":
        span = re.fullmatch(r"(\d+) ?([smhd])", text)
        return Decimal(span[1]) * _SECONDS[span[2]] if span else None
    number = order_of("number", text) if kind == "number" else None
    return number if number is not None and number >= 0 else None
