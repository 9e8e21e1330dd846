"""dlt's paginators, by their names in the contract, where needed with what they lack."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from dlt.sources.helpers.rest_client.client import PageData
from dlt.sources.helpers.rest_client.paginators import (
    BasePaginator,
    HeaderLinkPaginator,
    JSONLinkPaginator,
    JSONResponseCursorPaginator,
    OffsetPaginator,
    PageNumberPaginator,
    SinglePagePaginator,
)
from requests import Response

from transforms.contracts.servers.api import ApiServer
from transforms.sources.http_faults import RefusedError
from transforms.sources.http_json import scalar_text


class _JsonLink(JSONLinkPaginator):
    """dlt asks on at an empty link, and takes any value for one."""

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        super().update_state(response, data)
        link = self._next_reference
        if link is not None and not isinstance(link, str | bool):
            raise RefusedError(f"the next link is a {type(link).__name__}; mend next_url_path")
        self._next_reference = link or None


class _Cursor(JSONResponseCursorPaginator):
    """dlt would send the numbers that keep their digits as objects."""

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        super().update_state(response, data)
        if self._next_reference is not None:
            more = self._has_next_page
            text = scalar_text(self._next_reference)
            if text is None:
                raise RefusedError("the next cursor is neither text nor number; mend cursor_path")
            self._next_reference = text
            self._has_next_page = more


_KINDS: dict[str, type[BasePaginator]] = {
    "single_page": SinglePagePaginator,
    "page_number": PageNumberPaginator,
    "offset": OffsetPaginator,
    "cursor": _Cursor,
    "json_link": _JsonLink,
    "header_link": HeaderLinkPaginator,
}


def json_path(path: tuple[str, ...]) -> str:
    """A path of keys as dlt reads it."""
    return "$" + "".join(f".{json.dumps(key)}" for key in path)


def paginator(server: ApiServer) -> BasePaginator:
    """dlt's paginator with the contract's options.

    Pages end at the first empty one only where nothing else says how many there are: with a total, an empty page in
    the middle is no end.
    """
    options = {name: json_path(value) if name.endswith("_path") else value for name, value in server.options.items()}
    if server.paginator in {"page_number", "offset"}:
        options.setdefault("total_path", None)
        told = options["total_path"] is not None or "has_more_path" in options
        options.setdefault("stop_after_empty_page", not told)
    if server.paginator == "page_number":
        options.setdefault("base_page", 1)
    return _KINDS[server.paginator](**options)


class Progress:
    """Watches that pages go on and that none is skipped."""

    def __init__(self, server: ApiServer):
        self._server = server
        self._asked: set[bytes] = set()
        self._first = 0

    def check(self, page: PageData[Any], number: int) -> None:
        """Look at a page before it is used.

        Raises:
            RefusedError: this very page was asked for before, or the server gives less than a page of offsets holds.
        """
        asked = hashlib.sha256(_first_url(page.response).encode()).digest()[:8]
        if asked in self._asked:
            remedy = "the next link or cursor leads in a circle; mend the paginator's options or tell the provider"
            raise RefusedError(f"it was asked for before in this pull: {remedy}")
        self._asked.add(asked)
        if number == 1:
            self._first = len(page)
        limit = self._server.options.get("limit", 0)
        if self._server.paginator == "offset" and number == 2 and page and self._first < limit:
            message = f"the first page holds {self._first:,} records of {limit:,} asked for, and more follow"
            raise RefusedError(f"{message}: records between would be lost; set limit to {self._first}")


def _first_url(response: Response) -> str:
    return str((response.history[0] if response.history else response).request.url)
