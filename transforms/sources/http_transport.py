"""One request at a time: limits, secrets and tries around dlt's REST client.

dlt paginates and repeats; the transport below it decides what may be sent where and what counts as an answer. Imported
only where a pull runs: dlt takes more than a second.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from dlt.common.configuration.specs.runtime_configuration import RuntimeConfiguration
from dlt.sources.helpers.requests import Client
from dlt.sources.helpers.rest_client.client import RESTClient
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from transforms.contracts.servers.api import LOOPBACK, ApiServer
from transforms.sources.http_json import decode, follow

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
# A server that asks for a longer wait is left to the next run.
LONGEST_WAIT_SECONDS = 60.0
# A body that trickles in may take so many times the timeout of one read.
BODY_TIMEOUTS = 10
JITTER = 0.25
REDIRECTS = 5
SHOWN_CHARACTERS = 200
ERROR_BODY_BYTES = 1 << 16
CHUNK = 1 << 16


class RefusedError(requests.RequestException):
    """Another try would end the same way; the message says why."""


class GarbledError(requests.ConnectionError):
    """An answer that is none: cut short, not JSON, too slow. dlt tries again after a connection error."""


@dataclass(frozen=True)
class Credentials:
    """Headers and query parameters that prove who asks, and the texts that no message may show."""

    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()

    def redact(self, text: str) -> str:
        """The text without secrets, plain or percent-encoded, and without control characters."""
        for secret in sorted(filter(None, self.secrets), key=len, reverse=True):
            text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())


class _NoAuth(AuthBase):
    """Keeps requests from looking into ~/.netrc for a password of its own."""

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        return r


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: whoever differs in one of them is somebody else."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


class Transport(HTTPAdapter):
    """Sends what dlt prepared; puts secrets in last, and only for the contract's own host.

    So neither dlt, its log, its exceptions nor a redirect ever carries one.
    """

    def __init__(self, server: ApiServer, credentials: Credentials, sleep: Callable[[float], None]):
        super().__init__()
        self._server = server
        self._credentials = credentials
        self._sleep = sleep
        self._next_start = 0.0
        self.limit = int(server.max_page_megabytes * (1 << 20))

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        outgoing = self._addressed(request)
        self._keep_pace()
        response = super().send(outgoing, stream=True, timeout=timeout, verify=verify, cert=cert, proxies=proxies)
        response.request, response.url = request, str(request.url)
        try:
            self._take_in(response)
        finally:
            response.close()
        return response

    def _addressed(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        url = str(request.url)
        own = origin(url) == origin(self._server.location)
        if not own and urlsplit(url).scheme == "http" and not self._server.allow_http:
            host = urlsplit(url).hostname
            if urlsplit(self._server.location).scheme == "https" or host not in LOOPBACK:
                raise RefusedError(f"it leads to {host} in plain http; set allowHttp: true if that is meant")
        outgoing = request.copy()
        outgoing.headers.pop("Authorization", None)
        outgoing.headers.update({"User-Agent": "watershed", "Accept": "application/json"})
        if own:
            outgoing.headers.update(self._server.headers)
            outgoing.headers.update(self._credentials.headers)
            if self._credentials.params:
                outgoing.prepare_url(url, dict(self._credentials.params))
        return outgoing

    def _keep_pace(self) -> None:
        if self._server.requests_per_second is None:
            return
        now = time.monotonic()
        if self._next_start > now:
            self._sleep(self._next_start - now)
        self._next_start = max(now, self._next_start) + 1 / self._server.requests_per_second

    def _take_in(self, response: requests.Response) -> None:
        """Read the body within its limits, and parse it once: paginators ask for the document several times."""
        if response.is_redirect or response.status_code >= 400:
            body = self._body(response, ERROR_BODY_BYTES, cut=True)
            response._content = body  # pyright: ignore[reportPrivateUsage]
            return
        body = self._body(response, self.limit, cut=False)
        response._content = b""  # pyright: ignore[reportPrivateUsage]
        if not 200 <= response.status_code < 300:
            raise RefusedError(f"HTTP {response.status_code}, which is no answer to a GET")
        document = None if response.status_code == 204 else self._parsed(response, body)
        response.json = lambda **_: document  # type: ignore[method-assign]

    def _body(self, response: requests.Response, limit: int, cut: bool) -> bytes:
        longest = BODY_TIMEOUTS * self._server.request_timeout
        deadline = time.monotonic() + longest
        body = bytearray()
        try:
            for chunk in response.iter_content(CHUNK):
                body += chunk
                if len(body) > limit and cut:
                    break
                if len(body) > limit:
                    remedy = "ask for smaller pages, or raise maxPageMegabytes"
                    raise RefusedError(f"a page of more than {self._server.max_page_megabytes:g} MB; {remedy}")
                if time.monotonic() > deadline:
                    raise GarbledError(f"the body was not complete after {longest:g} s")
        except (RefusedError, GarbledError):
            raise
        except requests.RequestException as error:
            raise GarbledError(f"the answer broke off after {len(body):,} bytes ({type(error).__name__})") from None
        return bytes(body)

    def _parsed(self, response: requests.Response, body: bytes) -> Any:
        header = Message()
        header["Content-Type"] = response.headers.get("Content-Type", "")
        try:
            document = decode(body, header.get_content_charset("utf-8"))
        except (ValueError, LookupError, RecursionError):
            shown = self._credentials.redact(body[: 4 * SHOWN_CHARACTERS].decode("utf-8", "replace"))
            kind = header.get_content_type() if response.headers.get("Content-Type") else "no content type"
            raise GarbledError(f"no JSON but {kind}, {len(body):,} bytes: {shown[:SHOWN_CHARACTERS]!r}") from None
        try:
            follow(document, self._server.data_selector)
        except KeyError as error:
            keys = ", ".join(sorted(document)[:20]) if isinstance(document, dict) else type(document).__name__
            message = (
                f"nothing at dataSelector ({error} is missing); the answer holds: {self._credentials.redact(keys)}"
            )
            raise RefusedError(f"{message}; mend dataSelector") from None
        return document


@dataclass
class Asking:
    """A client for one pull. ``tries`` counts those of the request that is under way."""

    client: RESTClient
    tries: int = 1


def open_client(server: ApiServer, credentials: Credentials, sleep: Callable[[float], None]) -> Asking:
    """dlt's REST client over the transport: its retries and backoff, our jitter, no look at the environment."""
    http = Client(
        request_timeout=(min(CONNECT_SECONDS, server.request_timeout), server.request_timeout),
        raise_for_status=False,
        request_max_attempts=server.retries + 1,
        request_max_retry_delay=LONGEST_WAIT_SECONDS,
    )
    session = http.session
    session.max_redirects = REDIRECTS
    for scheme in ("http://", "https://"):
        session.mount(scheme, Transport(server, credentials, sleep))

    def pause(seconds: float) -> None:
        asking.tries += 1
        # Clients that failed together must not come back together.
        sleep(seconds * (1 + random.random() * JITTER))  # noqa: S311

    # tenacity's own way to change one part of a decorated function, used because dlt offers none for the waiting.
    session.send = session.send.retry_with(sleep=pause)  # type: ignore[attr-defined,method-assign]
    quiet = RuntimeConfiguration(dlthub_telemetry=False)
    client = RESTClient(base_url=server.location, auth=_NoAuth(), session=session, config=quiet)
    asking = Asking(client)
    return asking


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
        shown = credentials.redact(error.response.content[: 4 * SHOWN_CHARACTERS].decode("utf-8", "replace"))
        body = f": {shown[:SHOWN_CHARACTERS]}" if shown else ""
        return f"HTTP {status}{after}{body}; {_remedy(status, server)}"
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
