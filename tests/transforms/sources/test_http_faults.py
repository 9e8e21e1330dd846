"""What a server does wrong: tried again while it may pass, else refused with its reason; all of a pull or nothing."""

from __future__ import annotations

import datetime as dt
import re
import tempfile
import time
from collections.abc import Callable
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.sources.api_shop import PAGED, ApiShop, numbers, order, refusal
from tests.transforms.sources.provider import Handler, Provider, cut_off, noted, reset, silent, status, text


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


def test_the_rate_is_kept_over_pages(
    shop: Callable[..., ApiShop], provider: Provider, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transforms.sources.http_transport.time", SimpleNamespace(monotonic=lambda: 1_000.0))
    provider.records = [order(number) for number in range(8)]
    shop("cursor", requestsPerSecond=4).pull()
    assert slept == [0.25, 0.5, 0.75]  # after the first, for nobody waits and the clock stands still


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
