"""A provider's API on loopback, and a shop that pulls from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.transforms.sources.api_shop import PAGED, ApiShop
from tests.transforms.sources.provider import Provider


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
