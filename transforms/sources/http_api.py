"""Sources that are HTTP APIs: each pull is one file of JSON lines, whole or not at all."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from collections.abc import Iterator, Mapping
from functools import partial
from gzip import GzipFile
from time import sleep
from typing import Any, BinaryIO

from transforms.contracts import SourceContract
from transforms.contracts.servers.api import ApiServer
from transforms.settings import Settings
from transforms.sources.delivery import Delivery, NothingNew, State, UnreadableError
from transforms.sources.http_credentials import Credentials, credentials_of
from transforms.sources.http_cursor import HighWaterMark

logger = logging.getLogger(__name__)

# Text of records packs about tenfold; a higher level costs twice the time for a tenth of the size.
GZIP_LEVEL = 4
# A server that repeats itself once is sloppy; one that goes on will never end.
SAME_PAGES = 3
PAGES_BETWEEN_NOTES = 100


def location(server: ApiServer) -> str:
    """The endpoint's URL; the contract's lint keeps users, passwords and queries out of it."""
    return server.location


def deliveries(
    contract: SourceContract, server: ApiServer, settings: Settings, state: State | None, now: dt.datetime
) -> list[Delivery]:
    """The one pull that is due. Nothing is asked of the server before its bytes are fetched.

    The name is of this pull alone: a file of a former pull is never what a later one brings again.
    """
    stamp = now.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%S%fZ")
    write = partial(_pull, server, settings, state or {}, now)
    return [Delivery(f"{contract.name}-{stamp}.jsonl.gz", now.isoformat(), write)]


def _pull(server: ApiServer, settings: Settings, state: State, now: dt.datetime, target: BinaryIO) -> State:
    asked = _fingerprint(server)
    if state.get("asked") != asked:
        # Another endpoint or another question: where the former pulls ended means nothing here.
        state = {}
    mark = HighWaterMark(server.incremental, state.get("cursor"), now) if server.incremental else None
    params = {**server.params, **(mark.params() if mark else {})}
    digest = hashlib.sha256()
    count = 0
    # No name and no time in the header: the same records are the same bytes.
    with GzipFile(filename="", mode="wb", fileobj=target, mtime=0, compresslevel=GZIP_LEVEL) as packed:
        for record, line in _records(server, credentials_of(server, settings), params):
            if mark:
                mark.see(record)
            digest.update(line)
            packed.write(line)
            count += 1
    if count == 0:
        raise NothingNew
    if mark and mark.is_blind:
        path = ".".join(mark.cursor.path)
        message = f"{server.location}: not one of {count:,} records has a {mark.cursor.type} at cursorPath '{path}'"
        raise UnreadableError(f"{message}; mend cursorPath or cursorType")
    if digest.hexdigest() == state.get("digest"):
        raise NothingNew
    logger.info("%s: %s records", server.location, f"{count:,}")
    return {"asked": asked, "digest": digest.hexdigest(), **({"cursor": mark.text} if mark else {})}


def _fingerprint(server: ApiServer) -> str:
    """Hash of what decides which records an endpoint gives; a new ``initialValue`` pulls all again."""
    cursor = server.incremental
    start = (cursor.param, cursor.path, cursor.type, cursor.initial_value) if cursor else None
    question = repr((server.location, server.data_selector, sorted(server.params.items()), start))
    return hashlib.sha256(question.encode()).hexdigest()[:12]


def _records(server: ApiServer, credentials: Credentials, params: Mapping[str, str]) -> Iterator[tuple[Any, bytes]]:
    """Every record with its line, page after page.

    Raises:
        UnreadableError: a page cannot be had, or the pages do not end.
    """
    from transforms.sources.http_json import encode

    count = 0
    repeats, former = 1, b""
    for number, page in enumerate(_pages(server, credentials, params), start=1):
        lines = [encode(record) + b"\n" for record in page]
        content = hashlib.sha256(b"".join(lines)).digest()
        repeats = repeats + 1 if lines and content == former else 1
        former = content
        count += len(lines)
        if repeats == SAME_PAGES:
            message = f"pages {number - SAME_PAGES + 1} to {number} hold the same records: the pages do not end"
            raise UnreadableError(f"{server.location}: {message}; mend the paginator's options")
        if count > server.max_records:
            raise UnreadableError(f"{server.location}: more than {server.max_records:,} records; raise maxRecords")
        if number % PAGES_BETWEEN_NOTES == 0:
            logger.info("%s: %d pages, %s records", server.location, number, f"{count:,}")
        yield from zip(page, lines, strict=True)


def _pages(server: ApiServer, credentials: Credentials, params: Mapping[str, str]) -> Iterator[list[Any]]:
    import requests

    from transforms.sources.http_faults import explain, raise_for_status
    from transforms.sources.http_pages import Progress, json_path, paginator
    from transforms.sources.http_transport import open_client

    asking = open_client(server, credentials, lambda seconds: sleep(seconds))
    progress = Progress(server)
    number = 1
    try:
        pages = asking.client.paginate(
            params=dict(params),
            paginator=paginator(server),
            data_selector=json_path(server.data_selector),
            hooks={"response": [raise_for_status]},
        )
        for page in pages:
            progress.check(page, number)
            yield page
            number += 1
            asking.tries = 1
            if number > server.page_limit and page.paginator.has_next_page:
                raise UnreadableError(f"{server.location}: more than {server.page_limit:,} pages; raise pageLimit")
    except requests.RequestException as error:
        reason = explain(error, server, credentials, asking.tries)
        raise UnreadableError(f"{credentials.redact(server.location)}: page {number}: {reason}") from None
    except ValueError:
        # dlt's own words would show the whole page.
        reason = f"the paginator {server.paginator} cannot go on: a total, a flag or a link is missing or none"
        raise UnreadableError(f"{server.location}: page {number}: {reason}; mend its options") from None
