"""One server for all tests of the connector."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.transforms.sources.postgres.server import Postgres, running


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    with running() as server:
        yield server
