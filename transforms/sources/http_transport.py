"""One request at a time: limits, secrets and tries around dlt's REST client.

dlt paginates and repeats; the transport below it decides what may be sent where and what counts as an answer. Imported
only where a pull runs: dlt takes more than a second.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

import requests
from dlt.common.configuration.specs.runtime_configuration import RuntimeConfiguration
from dlt.sources.helpers.requests import Client
from dlt.sources.helpers.rest_client.client import RESTClient
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from transforms.contracts.servers.api import LOOPBACK, ApiServer
from transforms.sources.http_credentials import Credentials
from transforms.sources.http_faults import LONGEST_WAIT_SECONDS, REDIRECTS, GarbledError, RefusedError, shown
from transforms.sources.http_json import decode, follow

CONNECT_SECONDS = 10.0
# A body that trickles in may take so many times the timeout of one read.
BODY_TIMEOUTS = 10
JITTER = 0.25
ERROR_BODY_BYTES = 1 << 16
CHUNK = 1 << 16


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
            begin = shown(body[:ERROR_BODY_BYTES], self._credentials)
            kind = header.get_content_type() if response.headers.get("Content-Type") else "no content type"
            raise GarbledError(f"no JSON but {kind}, {len(body):,} bytes: {begin!r}") from None
        try:
            follow(document, self._server.data_selector)
        except KeyError as error:
            keys = ", ".join(sorted(document)[:20]) if isinstance(document, dict) else type(document).__name__
            held = shown(keys.encode(), self._credentials)
            message = f"nothing at dataSelector ({error} is missing); the answer holds: {held}"
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
    transport = Transport(server, credentials, sleep)
    for scheme in ("http://", "https://"):
        session.mount(scheme, transport)

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
