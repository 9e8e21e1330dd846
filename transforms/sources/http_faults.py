"""What can go wrong with a request, which of it is worth another try, and what people are told."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from transforms.contracts.servers.api import ApiServer
from transforms.sources.http_credentials import Credentials

# A server that asks for a longer wait is left to the next run.
LONGEST_WAIT_SECONDS = 60.0
REDIRECTS = 5
SHOWN_CHARACTERS = 200


class RefusedError(requests.RequestException):
    """Another try would end the same way; the message says why."""


class GarbledError(requests.ConnectionError):
    """An answer that is none: cut short, not JSON, too slow. dlt tries again after a connection error."""


def shown(body: bytes, credentials: Credentials) -> str:
    """The beginning of a body for people, without secrets."""
    return credentials.redact(body.decode("utf-8", "replace"))[:SHOWN_CHARACTERS]


def raise_for_status(response: requests.Response, *_: Any, **__: Any) -> None:
    """Hook of each response: dlt tries again after 429 and 5xx, at the time that the server asks for.

    Raises:
        HTTPError: a status from 400.
        RefusedError: the server asks for a longer wait than a run may take.
    """
    if response.status_code < 400:
        return
    wait = _retry_after(response.headers.get("Retry-After", ""))
    if wait > LONGEST_WAIT_SECONDS and (response.status_code == 429 or response.status_code >= 500):
        raise RefusedError(f"HTTP {response.status_code}, asks to wait {wait:,.0f} s; the next run tries again")
    raise requests.HTTPError(response=response)


def _retry_after(value: str) -> float:
    """Seconds that a Retry-After header asks for, as a number or a date; 0 where it cannot be read."""
    if value.strip().isdecimal():
        return float(value)
    try:
        return parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError):
        return 0.0


def explain(error: Exception, server: ApiServer, credentials: Credentials, tries: int) -> str:
    """Why a page cannot be had, and the way out; never with a secret, a query or a header."""
    after = f" after {tries} tries" if tries > 1 else ""
    later = "the next run tries again"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        status = error.response.status_code
        body = shown(error.response.content, credentials)
        return f"HTTP {status}{after}{': ' if body else ''}{body}; {_remedy(status, server)}"
    if isinstance(error, RefusedError):
        return str(error)
    if isinstance(error, GarbledError):
        return f"{error}{after}; {later}"
    if isinstance(error, requests.Timeout):
        return f"no answer within {server.request_timeout:g} s{after}; {later}, or raise requestTimeout"
    if isinstance(error, requests.TooManyRedirects):
        return f"more than {REDIRECTS} redirects; set location to where they end"
    if isinstance(error, requests.ConnectionError):
        return f"no connection ({_cause(error)}){after}; {later}"
    return f"it leads to no http(s) URL ({type(error).__name__}); mend the paginator's options or tell the provider"


def _remedy(status: int, server: ApiServer) -> str:
    if status in {401, 403}:
        secret = server.auth.secret if server.auth else None
        return f"check WATERSHED_SECRETS__{secret.upper()} and its rights" if secret else "set auth in the contract"
    if status == 429:
        return "set or lower requestsPerSecond; the next run tries again"
    if status >= 500:
        return "the next run tries again; if it lasts, ask the provider"
    return "mend location, params or the paginator's options"


def _cause(error: BaseException) -> str:
    """The operating system's words at the bottom of a connection error; its own text would show the query."""
    found = type(error).__name__
    pending: list[BaseException] = [error]
    known: set[int] = set()
    while pending:
        current = pending.pop()
        if id(current) in known:
            continue
        known.add(id(current))
        if isinstance(current, OSError) and current.strerror:
            found = str(current.strerror)
        parts = [*current.args, getattr(current, "reason", None), current.__cause__, current.__context__]
        pending += [part for part in parts if isinstance(part, BaseException)]
    return found
