"""The page about sources: each server that it shows can be built."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PROJECT
from tests.transforms.lake.shop import Shop, contract_document
from transforms.contracts import FileServer
from transforms.sources import location

PAGE = (PROJECT / "docs" / "sources.md").read_text(encoding="utf-8")
SERVERS = [yaml.safe_load(block)["servers"] for block in re.findall(r"```yaml\n(servers:.*?)```", PAGE, re.DOTALL)]


@pytest.mark.parametrize("servers", SERVERS, ids=lambda servers: f"{servers[0]['server']}-{servers[0]['type']}")
def test_each_server_on_the_page_is_right(tmp_path: Path, servers: list[dict[str, Any]]) -> None:
    shop = Shop(tmp_path, contract_document() | {"servers": servers})
    assert isinstance(shop.contract.server, FileServer)
    assert location(shop.contract, shop.settings)


def test_the_page_shows_every_tool() -> None:
    assert len(SERVERS) >= 10
