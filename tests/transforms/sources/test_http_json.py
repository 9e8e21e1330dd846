"""Records arrive as the provider wrote them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.transforms.sources.api_shop import ApiShop, order
from tests.transforms.sources.provider import Provider, text


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
