"""A small company, run once; each test publishes from a copy of its warehouse."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bi.publications import Publisher, copy_home
from tests.bi.talking import Client
from tests.orchestration.conftest import installation  # noqa: F401 - a fixture
from transforms.contracts import load_contracts
from transforms.settings import Settings

Start = Callable[..., Client]


@pytest.fixture(scope="session")
def home(request: pytest.FixtureRequest) -> Path:
    """A home after a run; WATERSHED_BI_HOME names one that is there already, to save a minute."""
    given = os.environ.get("WATERSHED_BI_HOME")
    return Path(given) if given else request.getfixturevalue("installation").settings.home


@pytest.fixture
def publisher(home: Path, tmp_path: Path) -> Publisher:
    """A publisher that has published once."""
    copy_home(home, tmp_path)
    settings = Settings()
    publisher = Publisher(tmp_path, load_contracts(settings.entities, settings.contracts).may_leave)
    publisher.publish()
    return publisher


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts clients, and ends at last those that are still there."""
    clients: list[Client] = []

    def begin(*command: object) -> Client:
        clients.append(Client(*command))
        return clients[-1]

    yield begin
    for client in clients:
        client.end()
