"""Pulls that go on where the last one ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.transforms.lake.shop import NOW
from tests.transforms.sources.api_shop import PAGED, SINCE, ApiShop, api_document, asked_since, order, refusal
from tests.transforms.sources.provider import Provider, noted, status
from transforms.sources.delivery import NothingNew


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


def test_a_pull_has_a_name_of_its_own(shop: Callable[..., ApiShop], provider: Provider) -> None:
    provider.records = [order(1)]
    shop().load()
    (landed,) = (shop().settings.landing / "shop").glob("*.gz")
    assert landed.name.endswith(f"shop-{(NOW + dt.timedelta(seconds=1)):%Y%m%dT%H%M%S%f}Z.jsonl.gz")
