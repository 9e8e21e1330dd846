"""A shop whose transactions come over an API, and the pull of one file from it."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.conftest import PROJECT
from tests.transforms.lake.shop import NOW, Shop, contract_document
from tests.transforms.sources.provider import Provider
from transforms.sources import deliveries
from transforms.sources.delivery import State, UnreadableError

PAGED: dict[str, dict[str, Any]] = {
    "page_number": {"paginator": {"type": "page_number", "page_param": "page"}, "dataSelector": "data"},
    "offset": {"paginator": {"type": "offset", "limit": 2}, "dataSelector": "$.data"},
    "cursor": {
        "paginator": {"type": "cursor", "cursor_path": "next", "cursor_param": "cursor"},
        "dataSelector": "data",
    },
    "json_link": {"paginator": {"type": "json_link", "next_url_path": "'@odata.nextLink'"}, "dataSelector": "data"},
    "header_link": {"paginator": "header_link"},
    "single_page": {},
}


def order(number: int, **fields: Any) -> dict[str, Any]:
    """One good record of the shop."""
    return {
        "order": str(number),
        "line": "1",
        "time": f"2025-03-01T10:{number // 60:02}:{number % 60:02}Z",
        "kind": "sale",
        "qty": 2,
        "amount": 9.9,
        "discount": None,
        "mail": None,
        **fields,
    }


def api_document(url: str, **options: Any) -> dict[str, Any]:
    """The contract of the shop with an API for a server."""
    properties = [{"property": name, "value": value} for name, value in options.items()]
    document = contract_document("json")
    server = {"server": "api", "type": "api", "location": url}
    document["servers"] = [{**server, "customProperties": properties} if properties else server]
    return document


SINCE = {"cursorParam": "since", "cursorPath": "time"}


class ApiShop(Shop):
    """A home whose one source is an API."""

    def __init__(self, folder: Path, url: str, **options: Any):
        super().__init__(folder, api_document(url, **options))

    def with_secrets(self, **secrets: str) -> ApiShop:
        """The same home with secrets."""
        held = {name: SecretStr(value) for name, value in secrets.items()}
        self.settings = self.settings.model_copy(update={"secrets": held})
        return self

    def pull(self, state: State | None = None, now: dt.datetime = NOW) -> tuple[list[str], State | None]:
        """Lines of one pull, and the state that it leaves."""
        (delivery,) = deliveries(self.contract, self.settings, state, now)
        stream = io.BytesIO()
        after = delivery.write(stream)
        return gzip.decompress(stream.getvalue()).decode().splitlines(), after


def numbers(lines: list[str]) -> list[int]:
    return [int(json.loads(line)["order"]) for line in lines]


def refusal(shop: ApiShop, **state: Any) -> str:
    with pytest.raises(UnreadableError) as caught:
        shop.pull(state or None)
    return str(caught.value)


def asked_since(provider: Provider) -> list[str | None]:
    """What each pull asked for, by its first page."""
    found = [re.search(r"since=([^&]*)", path) for path, _ in provider.requests if "page=1" in path]
    return [match[1].replace("%3A", ":").replace("%2B", "+") if match else None for match in found]


_CONTRACT = """
import sys
from pathlib import Path
from transforms.contracts import load_contracts
from transforms.settings import Settings
settings = Settings(home=Path(sys.argv[1]) / "home", contracts=Path(sys.argv[1]) / "contracts", memory_limit="1GB")
contract = load_contracts(settings.entities, settings.contracts).sources["shop"]
"""


def elsewhere(code: str, folder: Path) -> subprocess.Popen[str]:
    """Another process with a home and a working folder of its own."""
    for name in ("user", "here"):
        (folder / name).mkdir(exist_ok=True)
    more = {"PYTHONPATH": str(PROJECT), "HOME": str(folder / "user"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", _CONTRACT + code, str(folder)]
    place = folder / "here"
    return subprocess.Popen(command, env={**os.environ, **more}, cwd=place, stdout=subprocess.PIPE, text=True)
