"""Pulls that are killed: what comes later completes them, and nothing is there twice."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.killing import Moments, start
from tests.transforms.sources.api_shop import SINCE, ApiShop, asked_since, elsewhere, order
from tests.transforms.sources.provider import Handler, Provider, noted
from transforms.lake.load import load_source

_LOAD = "from transforms.lake.load import load_source\nload_source(settings, contract)"
KILLS = 20


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
