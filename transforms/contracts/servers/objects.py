"""Servers that hold files in an object store: S3 and its likes, Azure, Google, and all that fsspec knows."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any

from transforms.contracts.document import Document, NodePath, Problem
from transforms.contracts.parts import closest, custom_property
from transforms.contracts.servers.files import FileServer, file_options

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[^/]*)/?(?P<rest>.*)", re.DOTALL | re.IGNORECASE)
_SCHEMES = {"s3": ("s3", "s3a"), "azure": ("abfss", "abfs", "az")}
_AZURE_HOST = re.compile(r"(?:(?P<container>[^@]+)@)?(?P<account>[a-z0-9]{3,24})\.(?:blob|dfs)\.[a-z0-9.-]+")
# What may stand in the contract itself; whatever opens a door is a secret of the settings.
_SECRETS = {
    "s3": ("accessKey", "secretKey", "sessionToken"),
    "az": ("accountKey", "sasToken"),
    "gs": ("accessToken",),
}
_OPTIONS = ("region", "anonymous", "options", "secretOptions")
_OF_FILES = ("delimiter", "sheet", "headerRow")


@dataclass(frozen=True)
class ObjectServer(FileServer):
    """Files of an object store. ``path`` is a glob that begins with the bucket or container.

    ``secrets`` names what opens the store, by what the store calls it; empty where the cloud's ordinary chain of
    credentials is to be used. ``options`` goes to the store as it is.
    """

    scheme: str = "s3"
    account: str = ""
    endpoint: str = ""
    region: str = ""
    anonymous: bool = False
    secrets: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, Any], ...] = field(default=(), hash=False)


def build_object_server(
    document: Document, node: dict[str, Any], schema: dict[str, Any], problems: list[Problem]
) -> ObjectServer | None:
    """A bucket or container of files; faults go to ``problems``."""
    at: NodePath = ("servers", 0)
    kind, location = str(node.get("type")), str(node.get("location") or "")
    parts = _URL.fullmatch(location)
    expected = _SCHEMES.get(kind)
    scheme = parts["scheme"].lower() if parts else ""
    if parts is None or (expected and scheme not in expected) or "::" in location:
        example = {"s3": "s3://bucket/shop/*.csv", "azure": "abfss://container@account.dfs.core.windows.net/shop/*.csv"}
        message = f"the location '{location}' is no address of a store."
        remedy = f"Write it as {example.get(kind, 'gs://bucket/shop/*.csv')}."
        problems.append(document.problem((*at, "location"), message, remedy))
        return None
    if scheme in {"file", "local"}:
        problems.append(document.problem((*at, "location"), "this is a folder.", "Use 'type: local' with a path."))
    if re.match(r"[^@]*:[^@]*@", parts["host"]):
        message = "the location holds a password."
        problems.append(document.problem((*at, "location"), message, "Name a secret under secretOptions instead."))
    scheme = {"s3a": "s3", "gcs": "gs", "abfs": "az", "abfss": "az"}.get(scheme, scheme)
    host, rest, account = parts["host"], parts["rest"], ""
    if scheme == "az":
        found = _AZURE_HOST.fullmatch(host)
        if found is None:
            message = f"'{host}' names no storage account."
            remedy = "Write abfss://container@account.dfs.core.windows.net/shop/*.csv."
            problems.append(document.problem((*at, "location"), message, remedy))
            return None
        account = found["account"]
        host, rest = (found["container"], rest) if found["container"] else rest.partition("/")[::2]
    if not rest or rest.endswith("/"):
        message = f"the location '{location}' names no files."
        problems.append(document.problem((*at, "location"), message, "End it with a pattern, as in …/shop/*.csv."))
    if re.search(r"[*?\[]", host) or (not host and scheme in {"s3", "gs", "az"}):
        problems.append(document.problem((*at, "location"), f"'{host}' is no bucket.", "Name exactly one."))
    return ObjectServer(
        type=kind,
        path=f"{host}/{rest}" if host else rest,
        scheme=scheme,
        account=account,
        endpoint=_endpoint(document, node, problems),
        region=str(custom_property(node, "region", node.get("region") or "")),
        anonymous=custom_property(node, "anonymous", False) is True,
        secrets=_secrets(document, node, scheme, problems),
        options=tuple((_mapping(document, node, "options", problems)).items()),
        **file_options(document, node, problems),
    )


def _endpoint(document: Document, node: dict[str, Any], problems: list[Problem]) -> str:
    endpoint = str(node.get("endpointUrl") or "")
    if not endpoint:
        return ""
    parts = _URL.fullmatch(endpoint)
    if parts is None or parts["scheme"].lower() not in {"http", "https"} or not parts["host"] or "@" in parts["host"]:
        message = f"the endpointUrl '{endpoint.rpartition('@')[2]}' is no address of a server."
        remedy = "Write it as https://minio.example.com, without a user."
        problems.append(document.problem(("servers", 0, "endpointUrl"), message, remedy))
    elif parts["scheme"].lower() == "http" and not _is_loopback(parts["host"]):
        message = "an endpointUrl with http lets everybody on the way read along."
        remedy = "Use https; http is for servers on this machine."
        problems.append(document.problem(("servers", 0, "endpointUrl"), message, remedy))
    return endpoint.rstrip("/")


def _is_loopback(host: str) -> bool:
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    try:
        return name.lower() == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _secrets(
    document: Document, node: dict[str, Any], scheme: str, problems: list[Problem]
) -> tuple[tuple[str, str], ...]:
    at: NodePath = ("servers", 0, "customProperties")
    known = _SECRETS.get(scheme, ())
    for item in node.get("customProperties") or []:
        name = str(item.get("property"))
        if name not in (*known, *_OPTIONS, *_OF_FILES):
            message = f"servers of this kind have no property '{name}'."
            problems.append(document.problem(at, message, closest(name, [*known, *_OPTIONS, *_OF_FILES])))
    found = {name: str(value) for name in known if (value := custom_property(node, name)) is not None}
    found |= {name: str(value) for name, value in _mapping(document, node, "secretOptions", problems).items()}
    for name, secret in found.items():
        if not re.fullmatch(r"[A-Za-z_]\w*", secret):
            message = f"'{name}' is to name a secret, not to be one."
            remedy = f"Write a name such as crm_{name.lower()} and set WATERSHED_SECRETS__CRM_{name.upper()}."
            problems.append(document.problem(at, message, remedy))
    if scheme == "s3" and ("accessKey" in found) != ("secretKey" in found):
        problems.append(document.problem(at, "accessKey and secretKey go together.", "Give both, or neither."))
    return tuple(sorted(found.items()))


def _mapping(document: Document, node: dict[str, Any], name: str, problems: list[Problem]) -> dict[str, Any]:
    value = custom_property(node, name, {})
    if isinstance(value, dict):
        return value
    problems.append(document.problem(("servers", 0, "customProperties"), f"{name} is to be a mapping."))
    return {}
