"""Pulls from an API: every record once, or nothing with a reason."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import PROJECT
from tests.killing import Moments, start
from tests.transforms.lake.shop import NOW
from tests.transforms.sources.api_shop import PAGED, ApiShop, api_document, order
from tests.transforms.sources.provider import Handler, Provider, cut_off, noted, reset, silent, status, text
from transforms.lake.load import load_source
from transforms.sources.delivery import NothingNew, UnreadableError


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    provider = Provider()
    yield provider
    provider.close()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of every wait, none of them waited."""
    waits: list[float] = []
    monkeypatch.setattr("transforms.sources.http_api.sleep", waits.append)
    return waits


@pytest.fixture
def shop(tmp_path: Path, provider: Provider, slept: list[float]) -> Callable[..., ApiShop]:
    def build(kind: str = "page_number", **options: Any) -> ApiShop:
        return ApiShop(tmp_path, provider.url + kind, **{**PAGED[kind], **options})

    return build


def numbers(lines: list[str]) -> list[int]:
    return [int(json.loads(line)["order"]) for line in lines]


def refusal(shop: ApiShop, **state: Any) -> str:
    with pytest.raises(UnreadableError) as caught:
        shop.pull(state or None)
    return str(caught.value)


# Paging


@pytest.mark.parametrize("kind", PAGED)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_paginator_brings_every_record_once_in_order(
    shop: Callable[..., ApiShop], provider: Provider, kind: str, count: int
) -> None:
    provider.records = [order(number) for number in range(count)]
    lines, _ = shop(kind).pull()
    assert numbers(lines) == list(range(count))


@pytest.mark.parametrize("kind", PAGED)
def test_no_record_is_nothing_new(shop: Callable[..., ApiShop], kind: str) -> None:
    with pytest.raises(NothingNew):
        shop(kind).pull()


def test_a_total_ends_the_pages_without_asking_for_an_empty_one(
    shop: Callable[..., ApiShop], provider: Provider
) -> None:
    provider.records = [order(number) for number in range(4)]
    shop(paginator={"type": "page_number", "page_param": "page", "total_path": "pages"}).pull()
    assert [path for path, _ in provider.requests] == ["/page_number?page=1", "/page_number?page=2"]


def test_an_empty_page_in_the_middle_is_no_end_where_a_total_is_known(
    shop: Callable[..., ApiShop], provider: Provider
) -> None:
    provider.records = [order(number) for number in range(6)]
    provider.faults = [noted, text(b'{"data": [], "pages": 3}'), noted]
    lines, _ = shop(paginator={"type": "page_number", "page_param": "page", "total_path": "pages"}).pull()
    assert numbers(lines) == [0, 1, 4, 5]


def test_an_empty_page_in_the_middle_is_no_end_for_a_cursor(shop: Callable[..., ApiShop], provider: Provider) -> None:
    provider.records = [order(number) for number in range(4)]
    provider.faults = [noted, text(b'{"data": [], "next": 2}'.replace(b"2", b"3")), noted]
    lines, _ = shop("cursor").pull()
    assert numbers(lines) == [0, 1, 3]


def test_a_list_that_is_null_is_empty(shop: Callable[..., ApiShop], provider: Provider) -> None:
    provider.faults = [text(b'{"data": null}')]
    with pytest.raises(NothingNew):
        shop().pull()


def test_a_page_that_comes_twice_is_passed_on_twice(shop: Callable[..., ApiShop], provider: Provider) -> None:
    provider.records = [order(number) for number in range(6)]
    provider.faults = [noted, noted, text(json.dumps({"data": provider.records[2:4]}).encode()), noted]
    lines, _ = shop().pull()
    assert numbers(lines) == [0, 1, 2, 3, 2, 3]  # the fault took the place of the third page


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        ("json_link", b'{"data": [{}], "@odata.nextLink": "/json_link"}'),
        ("cursor", b'{"data": [{}], "next": "same"}'),
    ],
)
def test_pages_that_lead_in_a_circle_are_stopped(
    shop: Callable[..., ApiShop], provider: Provider, kind: str, page: bytes
) -> None:
    provider.faults = [text(page)] * 10
    assert "leads in a circle" in refusal(shop(kind))
    assert len(provider.requests) <= 3


def test_pages_that_all_redirect_to_one_place_are_no_circle(shop: Callable[..., ApiShop], provider: Provider) -> None:
    away = status(302, Location="/download")
    pages = [{"data": [{"order": "1"}], "next": "b"}, {"data": [{"order": "2"}], "next": None}]
    provider.faults = [fault for page in pages for fault in (away, text(json.dumps(page).encode()))]
    assert numbers(shop("cursor").pull()[0]) == [1, 2]


def test_a_server_that_ignores_the_page_number_is_stopped(shop: Callable[..., ApiShop], provider: Provider) -> None:
    provider.faults = [text(b'{"data": [{"order": "1"}]}')] * 10
    assert "pages 1 to 3 hold the same records" in refusal(shop())


def test_pages_and_records_are_limited(shop: Callable[..., ApiShop], provider: Provider) -> None:
    provider.records = [order(number) for number in range(6)]
    assert "more than 2 pages; raise pageLimit" in refusal(shop(pageLimit=2))
    assert "more than 3 records; raise maxRecords" in refusal(shop(maxRecords=3))
    assert len(shop("cursor", pageLimit=3).pull()[0]) == 6  # exactly as many as allowed


def test_a_server_that_caps_the_page_size_would_skip_records(shop: Callable[..., ApiShop], provider: Provider) -> None:
    provider.records = [order(number) for number in range(9)]
    message = refusal(shop("offset", paginator={"type": "offset", "limit": 5}))
    assert "the first page holds 2 records of 5 asked for" in message and "set limit to 2" in message


@pytest.mark.parametrize(
    ("options", "body", "reason"),
    [
        ({}, b'{"error": "no such table"}', "nothing at dataSelector ('data' is missing); the answer holds: error"),
        ({}, b"[1]", "the answer holds: list"),
        (
            {"paginator": {"type": "page_number", "page_param": "page", "total_path": "meta.pages"}},
            b'{"data": [{"mail": "jo@example.com"}]}',
            "the paginator page_number cannot go on",
        ),
        (
            {"paginator": {"type": "json_link", "next_url_path": "next"}},
            b'{"data": [{}], "next": {"href": "/x"}}',
            "the next link is a dict",
        ),
        (
            {"paginator": {"type": "json_link", "next_url_path": "next"}},
            b'{"data": [{}], "next": "ftp://127.0.0.1/x"}',
            "leads to no http(s) URL",
        ),
        (
            {"paginator": {"type": "cursor", "cursor_path": "next", "cursor_param": "c"}},
            b'{"data": [{}], "next": {"id": 1}}',
            "the next cursor is neither text nor number",
        ),
    ],
)
def test_an_answer_of_another_shape_is_refused_not_taken_for_the_end(
    shop: Callable[..., ApiShop], provider: Provider, options: dict[str, Any], body: bytes, reason: str
) -> None:
    provider.faults = [text(body)] * 3
    message = refusal(shop(**options))
    assert reason in message and "mend" in message and "jo@example.com" not in message


# Faults


@pytest.mark.parametrize(
    "fault",
    {
        "429": status(429),
        "500": status(500, "oops"),
        "503": status(503),
        "reset": reset,
        "cut off": cut_off,
        "cut JSON": text(b'{"data": [{"order": "1"'),
        "HTML": text(b"<html>be right back</html>", Content_Type="text/html"),
        "empty": text(b""),
        "silent": silent,
        "not UTF-8": text(b'{"data": [{"order": "\xff"}]}'),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_fault_that_passes_is_tried_again(
    shop: Callable[..., ApiShop], provider: Provider, slept: list[float], fault: tuple[str, Any]
) -> None:
    provider.records = [order(number) for number in range(4)]
    provider.faults = [noted, fault[1], fault[1], noted]
    lines, _ = shop("cursor", requestTimeout=0.3).pull()
    assert numbers(lines) == [0, 1, 2, 3]
    assert len(slept) == 2 and 1 <= slept[0] <= 1.25 and 2 <= slept[1] <= 2.5


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (status(429), "HTTP 429 after 3 tries; set or lower requestsPerSecond"),
        (status(502, "bad\r\n gateway"), "HTTP 502 after 3 tries: bad gateway; the next run tries again"),
        (reset, "no connection (Connection reset by peer) after 3 tries"),
        (cut_off, "the answer broke off after"),
        (silent, "no answer within 0.3 s after 3 tries"),
        (
            text(b"<html>x</html>", Content_Type="text/html"),
            "no JSON but text/html, 14 bytes: '<html>x</html>' after 3",
        ),
        (text(b'{"a": 1', Content_Encoding="gzip"), "the answer broke off"),
    ],
)
def test_a_fault_that_stays_names_url_tries_and_way_out(
    shop: Callable[..., ApiShop], provider: Provider, fault: Any, reason: str
) -> None:
    provider.records = [order(number) for number in range(4)]
    provider.faults = [noted, *[fault] * 3]
    message = refusal(shop("cursor", retries=2, requestTimeout=0.3))
    assert message.startswith(f"{provider.url}cursor: page 2: ") and reason in message
    assert provider.faults == []


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 422])
def test_a_refusal_by_the_server_is_not_tried_again(
    shop: Callable[..., ApiShop], provider: Provider, slept: list[float], code: int
) -> None:
    provider.faults = [status(code, "key s3cret\tis wrong " + "x" * 500)] * 2
    auth = {"type": "bearer", "token": "crm_token"}
    message = refusal(shop(auth=auth).with_secrets(crm_token="s3cret"))
    assert f"HTTP {code}: key *** is wrong xxx" in message and "s3cret" not in message
    assert message.count("x" * 150) == 1 and len(message) < 400
    assert ("WATERSHED_SECRETS__CRM_TOKEN" in message) == (code in {401, 403})
    assert len(provider.requests) == 1 and slept == []


def test_nobody_listens(shop: Callable[..., ApiShop], provider: Provider) -> None:
    shop = shop(retries=1)
    provider.close()
    assert "no connection (Connection refused) after 2 tries" in refusal(shop)


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_kept_in_seconds_and_as_a_date(
    shop: Callable[..., ApiShop], provider: Provider, slept: list[float], code: int
) -> None:
    provider.records = [order(0)]
    date = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=40), usegmt=True)
    provider.faults = [status(code, Retry_After="17"), status(code, Retry_After=date), noted]
    shop("cursor").pull()
    assert 17 <= slept[0] <= 17 * 1.25 and 37 <= slept[1] <= 40 * 1.25


def test_a_wait_beyond_the_cap_is_left_to_the_next_run(
    shop: Callable[..., ApiShop], provider: Provider, slept: list[float]
) -> None:
    provider.faults = [status(429, Retry_After="3600")]
    assert "HTTP 429, asks to wait 3,600 s; the next run tries again" in refusal(shop())
    assert slept == []


def test_the_rate_is_kept_over_pages_and_tries(
    shop: Callable[..., ApiShop], provider: Provider, slept: list[float]
) -> None:
    provider.records = [order(number) for number in range(8)]
    shop("cursor", requestsPerSecond=4).pull()
    assert len(slept) == 3 and 0.6 < slept[-1] <= 0.75  # the fourth request, 3 / 4 s after the first


def test_a_page_beyond_the_limit_is_refused(shop: Callable[..., ApiShop], provider: Provider) -> None:
    provider.records = [order(1, mail="x" * 50_000)]
    assert "a page of more than 0.01 MB; ask for smaller pages, or raise maxPageMegabytes" in refusal(
        shop(maxPageMegabytes=0.01)
    )


def test_a_body_that_trickles_in_is_given_up(
    shop: Callable[..., ApiShop], provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transforms.sources.http_transport.BODY_TIMEOUTS", 1)

    def trickle(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        try:
            for _ in range(100):
                handler.wfile.write(b"1\r\n[\r\n")
                time.sleep(0.05)
        except OSError:
            handler.close_connection = True

    provider.faults = [trickle]
    assert "the body was not complete after 0.2 s" in refusal(shop(retries=0, requestTimeout=0.2))


# Content


@pytest.mark.parametrize(
    "record",
    [
        '{"a":12345678901234567.89,"b":0.1234567890123456789,"c":1e400,"d":-0.0,"e":9.90}',
        '{"a":123456789012345678901234567890,"b":18446744073709551616,"c":-9223372036854775809}',
        '{"a":1,"a":2}',
        '{"a":{"b":1.50,"b":[12345678901234567.89]},"c":"\\u00e4"}',
        '{"a":NaN,"b":-Infinity}',
        '{"a":"\\ud800"}',
        '"text"',
        "17",
        "null",
        "[1,2]",
        '{"a":"two\\nlines\\u0000"}',
        '{"a":' + "[" * 300 + "]" * 300 + "}",
    ],
)
def test_records_arrive_as_the_provider_wrote_them(
    shop: Callable[..., ApiShop], provider: Provider, record: str
) -> None:
    provider.faults = [text(f'{{"data": [{record}, {{"order": "1"}}]}}'.encode())]
    lines, _ = shop("cursor").pull()
    assert [line.replace("ä", "\\u00e4") for line in lines] == [record, '{"order":"1"}']


def test_a_document_in_another_charset_is_read_by_its_header(shop: Callable[..., ApiShop], provider: Provider) -> None:
    body = '{"data": [{"order": "ä"}]}'
    provider.faults = [
        text(body.encode("latin-1"), Content_Type="application/json; charset=ISO-8859-1"),
        text(b"\xef\xbb\xbf" + body.encode()),
    ]
    assert shop("cursor").pull()[0] == shop("cursor").pull()[0] == ['{"order":"ä"}']


def test_odd_records_are_counted_and_refused_one_by_one(shop: Callable[..., ApiShop], provider: Provider) -> None:
    good = json.dumps(order(1))
    odd = ["17", good.replace('"qty": 2', '"qty": NaN'), good.replace('"line"', '"order"')]
    provider.faults = [text(f'{{"data": [{", ".join([good, good, *odd])}]}}'.encode())]
    shop = shop("cursor")
    report = shop.load()
    account = [report.total(f"rows_{name}") for name in ("read", "accepted", "duplicate", "quarantined")]
    assert account == [5, 1, 1, 3]
    assert [reason for _, reason in shop.reasons()] == ["parse:not_an_object", "parse:not_a_number", "parse:key_twice"]


# Who sees what


def sent(provider: Provider, name: str) -> list[str | None]:
    return [headers.get(name) for _, headers in provider.requests]


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"type": "bearer", "token": "crm"}, "Authorization", "Bearer s3cret"),
        ({"type": "api_key", "api_key": "crm", "name": "X-Api-Key"}, "X-Api-Key", "s3cret"),
        ({"type": "http_basic", "username": "user", "password": "crm"}, "Authorization", "Basic am86czNjcmV0"),
    ],
)
def test_secrets_go_to_the_contracts_host_and_nowhere_else(
    shop: Callable[..., ApiShop], provider: Provider, auth: dict[str, str], header: str, value: str
) -> None:
    stranger = Provider()
    stranger.records = provider.records = [order(1)]
    away = status(302, Location=stranger.url + "single_page")
    home = status(307, Location=provider.url + "single_page")
    provider.faults = [home, away]
    shop = shop("single_page", auth=auth, headers={"X-Tenant": "shop"}).with_secrets(crm="s3cret", user="jo")
    assert numbers(shop.pull()[0]) == [1]
    stranger.close()
    assert sent(provider, header) == [value, value] and sent(provider, "X-Tenant") == ["shop", "shop"]
    assert sent(stranger, header) == [None] and sent(stranger, "X-Tenant") == [None]
    assert "s3cret" not in str(stranger.requests)


def test_a_next_link_to_a_stranger_carries_no_secret(shop: Callable[..., ApiShop], provider: Provider) -> None:
    stranger = Provider()
    stranger.faults = [text(b'{"data": [{"order": "2"}], "@odata.nextLink": null}')]
    page = {"data": [{"order": "1"}], "@odata.nextLink": stranger.url + "x"}
    provider.faults = [text(json.dumps(page).encode())]
    auth = {"type": "api_key", "api_key": "crm", "name": "key", "location": "query"}
    lines, _ = shop("json_link", auth=auth).with_secrets(crm="s3cret").pull()
    stranger.close()
    assert numbers(lines) == [1, 2]
    assert [path for path, _ in provider.requests] == ["/json_link?key=s3cret"]
    assert "s3cret" not in str(stranger.requests)


def test_a_key_in_the_query_is_in_no_message(
    shop: Callable[..., ApiShop], provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    auth = {"type": "api_key", "api_key": "crm", "name": "key", "location": "query"}
    shop = shop(auth=auth, retries=1).with_secrets(crm="s3 cret/")
    provider.faults = [reset, reset]
    assert "s3" not in refusal(shop)
    provider.faults = [status(404, "no /x?key=s3%20cret%2F here")]
    assert "no /x?key=*** here" in refusal(shop)
    provider.close()
    assert "s3" not in refusal(shop)
    watched = [record for record in caplog.records if not record.name.startswith("urllib3")]
    assert "s3" not in "".join(record.getMessage() for record in watched)


def test_a_long_secret_in_a_long_answer_is_not_shown(shop: Callable[..., ApiShop], provider: Provider) -> None:
    provider.faults = [status(400, f"bad token {'s3cret' * 500} given"), text(f"<p>{'s3cret' * 500}".encode())]
    shop = shop(auth={"type": "bearer", "token": "crm"}, retries=0).with_secrets(crm="s3cret" * 500)
    assert "HTTP 400: bad token *** given;" in refusal(shop)
    assert "'<p>***'" in refusal(shop)


def test_the_line_end_of_a_secret_is_dropped_and_one_inside_refused(
    shop: Callable[..., ApiShop], provider: Provider
) -> None:
    provider.records = [order(1)]
    shop = shop("cursor", auth={"type": "bearer", "token": "crm"})
    shop.with_secrets(crm="s3cret\n").pull()
    assert sent(provider, "Authorization") == ["Bearer s3cret"]
    message = refusal(shop.with_secrets(crm="s3\ncret"))
    assert "the secret 'crm' holds a line break" in message and "s3" not in message


def test_a_secret_that_is_not_set_is_named(shop: Callable[..., ApiShop]) -> None:
    message = refusal(shop(auth={"type": "bearer", "token": "crm_token"}))
    assert "set WATERSHED_SECRETS__CRM_TOKEN" in message


def test_plain_http_beyond_loopback_is_refused(shop: Callable[..., ApiShop], provider: Provider) -> None:
    provider.faults = [status(302, Location="http://192.0.2.1/x")]
    assert "it leads to 192.0.2.1 in plain http" in refusal(shop())
    provider.faults = [status(302, Location="file:///etc/passwd")]
    assert "leads to no http(s) URL" in refusal(shop())


def test_redirects_end(shop: Callable[..., ApiShop], provider: Provider) -> None:
    provider.faults = [status(302, Location=f"/page_number/{number}") for number in range(9)]
    assert "more than 5 redirects" in refusal(shop())


_CONTRACT = """
import sys
from pathlib import Path
from transforms.contracts import load_contracts
from transforms.settings import Settings
settings = Settings(home=Path(sys.argv[1]) / "home", contracts=Path(sys.argv[1]) / "contracts", memory_limit="1GB")
contract = load_contracts(settings.entities, settings.contracts).sources["shop"]
"""
_LOAD = "from transforms.lake.load import load_source\nload_source(settings, contract)"
_WATCHED_PULL = """
import datetime, io, json
asked, written = [], []
def watch(event, given):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        asked.append(given[1][0] if event == "socket.connect" else given[0])
    elif event in ("os.mkdir", "os.rename") or event == "open" and str(given[1])[:1] in "wax":
        written.append(str(given[0]))
sys.addaudithook(watch)
from transforms.sources import deliveries
assert not {"dlt", "tenacity"} & set(sys.modules)
(pull,) = deliveries(contract, settings, None, datetime.datetime.now(datetime.UTC))
assert not {"dlt", "tenacity"} & set(sys.modules)
pull.write(io.BytesIO())
print(json.dumps({"asked": asked, "written": written, "dlt": "dlt" in sys.modules}))
"""


def elsewhere(code: str, folder: Path) -> subprocess.Popen[str]:
    """Another process with a home and a working folder of its own."""
    for name in ("user", "here"):
        (folder / name).mkdir(exist_ok=True)
    more = {"PYTHONPATH": str(PROJECT), "HOME": str(folder / "user"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", _CONTRACT + code, str(folder)]
    place = folder / "here"
    return subprocess.Popen(command, env={**os.environ, **more}, cwd=place, stdout=subprocess.PIPE, text=True)


def test_nobody_else_is_asked_and_nothing_is_written(
    shop: Callable[..., ApiShop], provider: Provider, tmp_path: Path
) -> None:
    """dlt reports its use and keeps ~/.dlt; here it does neither. A password in ~/.netrc stays there, too.

    Contracts and the list of deliveries do without dlt: Dagster loads them in every process, dlt takes a second.
    """
    provider.records = [order(number) for number in range(3)]
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / ".netrc").write_text("machine 127.0.0.1 login jo password s3cret\n")
    provider.faults = [status(307, Location="/page_number?page=1")]  # requests looks into ~/.netrc for each hop
    shop()
    process = elsewhere(_WATCHED_PULL, tmp_path)
    seen = json.loads(process.communicate(timeout=60)[0])
    assert process.returncode == 0 and seen["dlt"] and len(provider.requests) == 4
    assert set(seen["asked"]) == {"127.0.0.1"} and set(seen["written"]) <= {"/dev/null"}
    assert [path.name for name in ("here", "user") for path in (tmp_path / name).iterdir()] == [".netrc"]
    assert sent(provider, "Authorization") == [None] * 4


# Incremental pulls

SINCE = {"cursorParam": "since", "cursorPath": "time"}


def asked_since(provider: Provider) -> list[str | None]:
    """What each pull asked for, by its first page."""
    found = [re.search(r"since=([^&]*)", path) for path, _ in provider.requests if "page=1" in path]
    return [match[1].replace("%3A", ":").replace("%2B", "+") if match else None for match in found]


@pytest.mark.parametrize(
    ("times", "options", "expected"),
    [
        (["2025-03-01T10:00:00Z", "2025-03-02T10:00:00Z"], {}, "2025-03-02T10:00:00Z"),
        (["2025-03-02T10:00:00Z", "2025-03-01T10:00:00Z"], {"overlap": "15m"}, "2025-03-02T09:45:00Z"),
        (["2025-03-01T11:30:00+02:00", "2025-03-01T10:00:00+00:00"], {"overlap": "1h"}, "2025-03-01T09:00:00+00:00"),
        (["2025-03-01 10:00:00.123456"], {"overlap": "1s"}, "2025-03-01+09:59:59.123456"),
        (["2025-03-01", "2025-03-02"], {"overlap": "1d"}, "2025-03-01"),
        (["20250301", "20250302"], {"overlap": "1d"}, "20250301"),
        (["20250301T100000Z"], {"overlap": "1m"}, "2025-03-01T09:59:00Z"),
        (["2025-03-01T10:00:00Z", "2999-01-01T00:00:00Z"], {}, "2025-03-01T10:00:00Z"),
        (["2025-03-01T10:00:00Z", None, "soon"], {}, "2025-03-01T10:00:00Z"),
        ([9, 10, 1741000000.125], {"cursorType": "number"}, "1741000000.125"),
        ([9, 10], {"cursorType": "number", "overlap": 3}, "7"),
        (["b", "a"], {"cursorType": "text"}, "b"),
    ],
)
def test_the_next_pull_goes_on_from_the_highest_value(
    shop: Callable[..., ApiShop], provider: Provider, times: list[Any], options: dict[str, Any], expected: str
) -> None:
    provider.records = [order(number, time=time) for number, time in enumerate(times)]
    shop = shop(**SINCE, **options)
    _, state = shop.pull()
    provider.records = [order(9, time=times[0])]
    provider.chosen = lambda _: provider.records  # type: ignore[method-assign]
    shop.pull(state)
    assert asked_since(provider) == [None, expected]


def test_the_first_pull_starts_at_the_initial_value_and_a_new_one_starts_over(
    shop: Callable[..., ApiShop], provider: Provider
) -> None:
    provider.records = [order(number) for number in range(3)]
    _, state = shop(**SINCE, initialValue="2025-03-01T10:00:01Z").pull()
    assert state and state["cursor"] == "2025-03-01T10:00:02Z"
    lines, _ = shop(**SINCE, initialValue="2025-01-01T00:00:00Z").pull(state)
    assert asked_since(provider) == ["2025-03-01T10:00:01Z", "2025-01-01T00:00:00Z"] and len(lines) == 3


def test_a_cursor_path_that_finds_nothing_is_refused(shop: Callable[..., ApiShop], provider: Provider) -> None:
    provider.records = [order(1)]
    message = refusal(shop(cursorParam="since", cursorPath="updated.at"))
    assert "not one of 1 records has a timestamp at cursorPath 'updated.at'" in message


def test_the_same_records_again_are_nothing_new(shop: Callable[..., ApiShop], provider: Provider) -> None:
    provider.records = [order(number) for number in range(3)]
    shop = shop()
    _, state = shop.pull()
    with pytest.raises(NothingNew):
        shop.pull(state)
    provider.records.append(order(3))
    assert len(shop.pull(state)[0]) == 4


def test_pulls_follow_each_other_through_the_lake(shop: Callable[..., ApiShop], provider: Provider) -> None:
    shop = shop(**SINCE)
    provider.records = [order(number) for number in range(5)]
    assert shop.load().total("rows_accepted") == 5
    again = shop.load()  # the API gives the last record once more, which is known
    assert (again.total("rows_read", fresh=True), again.total("rows_duplicate", fresh=True)) == (1, 1)
    assert shop.load().loaded == ()
    provider.records += [order(number) for number in range(5, 8)]
    provider.faults = [noted, status(404, "gone")]
    reason = next(iter(shop.load().unreadable.values()))
    assert reason.startswith(f"{provider.url}page_number: page 2: HTTP 404")
    assert shop.query("SELECT count(*) FROM accepted") == [(5,)]
    report = shop.load()
    assert report.balances and report.unreadable == {}
    assert shop.query("SELECT count(*), count(DISTINCT order_id) FROM accepted") == [(8, 8)]
    mark = "2025-03-01T10:00:04Z"
    assert asked_since(provider) == [None, mark, mark, mark, mark]


def test_upserts_over_several_pulls_keep_the_latest_version_of_each_order(
    tmp_path: Path, provider: Provider, slept: list[float]
) -> None:
    document = api_document(provider.url + "page_number", **PAGED["page_number"], **SINCE, overlap="1m")
    schema = document["schema"][0]
    schema["customProperties"] += [
        {"property": "loadMode", "value": "upsert"},
        {"property": "latestBy", "value": "ordered_at"},
    ]
    shop = ApiShop(tmp_path, provider.url)
    shop.sign(document)
    provider.records = [order(number) for number in range(4)]
    shop.load()
    # Two orders change, one comes, and one that changed long ago is no longer given.
    provider.records = [order(3, amount=5, time="2025-03-01T10:02:00Z"), order(1, qty=7, time="2025-03-01T10:03:00Z")]
    provider.records += [order(4, time="2025-03-01T10:03:30Z")]
    shop.load()
    provider.records.append(order(4, amount=1.25, time="2025-03-01T10:04:00Z"))
    assert shop.load().balances
    assert asked_since(provider) == [None, "2025-03-01T09:59:03Z", "2025-03-01T10:02:30Z"]
    rows = shop.query("SELECT order_id, CAST(quantity AS INT), CAST(gross_amount AS DOUBLE) FROM current ORDER BY 1")
    assert rows == [("0", 2, 9.9), ("1", 7, 9.9), ("2", 2, 9.9), ("3", 2, 5.0), ("4", 2, 1.25)]


def test_killed_in_the_middle_of_a_pull_and_completed(
    shop: Callable[..., ApiShop], provider: Provider, tmp_path: Path
) -> None:
    provider.records = [order(number) for number in range(6)]
    reached = threading.Event()

    def hang(_: Handler) -> None:
        reached.set()
        time.sleep(30)

    shop = shop(**SINCE)
    provider.faults = [noted, noted, hang]
    process = elsewhere(_LOAD, tmp_path)
    assert reached.wait(60)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    landed = shop.settings.landing / "shop"
    assert not list(landed.glob("*.gz")) and not (landed / "received.jsonl").exists()
    assert shop.load().total("rows_accepted") == 6
    assert asked_since(provider) == [None, None]


KILLS = 20


def slowly(handler: Handler) -> None:
    """The answer takes its time."""
    time.sleep(0.03)
    noted(handler)
    getattr(handler.provider, handler.path.strip("/").split("?")[0])(handler)


@pytest.mark.slow
def test_kills_at_random_moments_of_pulls_lose_and_double_nothing(
    shop: Callable[..., ApiShop], provider: Provider
) -> None:
    shop = shop(**SINCE)
    moments = Moments(19)
    kills = 0
    while kills < KILLS:
        provider.faults = [slowly] * 100
        if not moments.kill(start(load_source, shop.settings, shop.contract)):
            provider.records += [order(len(provider.records) + number) for number in range(6)]
        else:
            kills += 1
    provider.faults = []
    provider.records += [order(len(provider.records) + number) for number in range(6)]
    report = load_source(shop.settings, shop.contract)
    assert report.balances and report.unreadable == {}
    everything = sorted(str(number) for number in range(len(provider.records)))
    assert len(everything) > 6, "no pull came to its end"
    assert shop.query("SELECT order_id FROM accepted ORDER BY 1") == [(order,) for order in everything]
    assert shop.query("SELECT count(*) FROM quarantine") == [(0,)]


FAULTS = {
    "429": status(429),
    "500": status(500),
    "reset": reset,
    "cut off": cut_off,
    "cut JSON": text(b'{"data": [{"order"'),
    "404": status(404),
    "fine": noted,
}


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    count=st.integers(0, 9),
    plans=st.lists(st.lists(st.sampled_from([*FAULTS, "twice"]), max_size=8), min_size=1, max_size=3),
    kind=st.sampled_from(["page_number", "cursor", "json_link", "header_link"]),
)
def test_any_faults_leave_all_records_or_none_with_a_reason(count: int, plans: list[list[str]], kind: str) -> None:
    """Each load meets its own faults; a page that comes twice adds nothing."""
    provider = Provider()
    provider.records = [order(number) for number in range(count)]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("transforms.sources.http_api.sleep", lambda _: None)
        shop = ApiShop(Path(folder), provider.url + kind, **PAGED[kind], retries=2)
        whole = False
        for plan in plans:
            usual = [FAULTS[name] for name in plan if name != "twice"]
            provider.faults = usual
            if "twice" in plan:
                provider.size, provider.records = (
                    2,
                    [order(n) for n in range(count)] + [order(n) for n in range(min(2, count))],
                )
            report = shop.load()
            provider.faults = []
            (landed,) = shop.query("SELECT count(DISTINCT order_id) FROM accepted")[0]
            for reason in report.unreadable.values():
                assert re.search(r"page \d+: .*(HTTP \d+|no connection|broke off|no JSON).*;", reason)
            whole = whole or not report.unreadable
            assert landed == (count if whole else 0) and report.balances
            assert shop.query("SELECT count(*) FROM accepted") == [(landed,)]
    provider.close()


def test_a_pull_has_a_name_of_its_own(shop: Callable[..., ApiShop], provider: Provider) -> None:
    provider.records = [order(1)]
    shop().load()
    (landed,) = (shop().settings.landing / "shop").glob("*.gz")
    assert landed.name.endswith(f"shop-{(NOW + dt.timedelta(seconds=1)):%Y%m%dT%H%M%S%f}Z.jsonl.gz")
