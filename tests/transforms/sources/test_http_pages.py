"""Paging: every record once, in order, whatever tells where the next page is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.transforms.sources.api_shop import PAGED, ApiShop, numbers, order, refusal
from tests.transforms.sources.provider import Provider, noted, status, text
from transforms.sources.delivery import NothingNew


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
