"""Where a source lies and how to ask it: the one entry under ``servers`` of a source contract, typed by its kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transforms.contracts.document import Document, Problem
from transforms.contracts.model import Server
from transforms.contracts.parts import closest
from transforms.contracts.servers.api import ApiServer, build_api_server
from transforms.contracts.servers.files import FileServer, build_file_server
from transforms.contracts.servers.objects import ObjectServer, build_object_server
from transforms.contracts.servers.postgres import PostgresServer, build_postgres_server

Build = Callable[[Document, dict[str, Any], dict[str, Any], list[Problem]], Server | None]

# ODCS server types that can be read, with what builds them.
KINDS: dict[str, Build] = {
    "local": build_file_server,
    "s3": build_object_server,
    "azure": build_object_server,
    "custom": build_object_server,
    "api": build_api_server,
    "postgres": build_postgres_server,
    "postgresql": build_postgres_server,
}


def build_server(document: Document, schema: dict[str, Any], problems: list[Problem]) -> Server | None:
    """The contract's one server; None with the faults added to ``problems`` where it cannot be used."""
    servers = document.data.get("servers") or []
    if len(servers) != 1:
        remedy = "Name exactly one under 'servers:'."
        problems.append(document.problem(("servers",), f"{len(servers)} servers.", remedy))
        return None
    kind = str(servers[0].get("type"))
    if kind not in KINDS:
        message = f"servers of type '{kind}' are not supported."
        problems.append(document.problem(("servers", 0, "type"), message, closest(kind, KINDS)))
        return None
    return KINDS[kind](document, servers[0], schema, problems)


__all__ = ["ApiServer", "FileServer", "ObjectServer", "PostgresServer", "Server", "build_server"]
