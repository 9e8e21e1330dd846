from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .town import Town


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path / "home")


@pytest.fixture
def new_town(tmp_path: Path) -> Callable[[], Town]:
    """Builds installations that know nothing of each other but share their secret."""
    built: list[Town] = []

    def build() -> Town:
        built.append(Town(tmp_path / f"home-{len(built)}"))
        return built[-1]

    return build
