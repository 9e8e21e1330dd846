"""Connectors: what the providers hold, pulled by the servers that the contracts name."""

from __future__ import annotations

import datetime as dt

from transforms.contracts import ApiServer, FileServer, PostgresServer, SourceContract
from transforms.contracts.servers import ObjectServer
from transforms.settings import Settings
from transforms.sources import files, http_api, objects, postgres
from transforms.sources.delivery import Delivery, State


def deliveries(contract: SourceContract, settings: Settings, state: State | None, now: dt.datetime) -> list[Delivery]:
    """What the source holds at this moment, in the order in which it should be taken in.

    ``state`` is what the last landed delivery of the source returned, ``now`` an aware moment.

    Raises:
        UnreadableError: the place cannot be reached at all.
    """
    server = contract.server
    if isinstance(server, ObjectServer):
        return objects.deliveries(server, settings)
    if isinstance(server, FileServer):
        return files.deliveries(server, settings)
    if isinstance(server, PostgresServer):
        return postgres.deliveries(contract, server, settings, state, now)
    if isinstance(server, ApiServer):
        return http_api.deliveries(contract, server, settings, state, now)
    raise NotImplementedError(server.type)


def location(contract: SourceContract, settings: Settings) -> str:
    """Where a source is pulled from, for people: never with a password."""
    server = contract.server
    if isinstance(server, ObjectServer):
        return objects.location(server)
    if isinstance(server, FileServer):
        return files.location(server, settings)
    if isinstance(server, PostgresServer):
        return postgres.location(server)
    if isinstance(server, ApiServer):
        return http_api.location(server)
    raise NotImplementedError(server.type)
