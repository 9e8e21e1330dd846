"""The page on HTTP APIs, done as it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from tests.conftest import PROJECT
from tests.transforms.sources.api_shop import ApiShop
from tests.transforms.sources.provider import Provider, text
from transforms.contracts.servers.api import ApiServer
from transforms.contracts.servers.api_options import OPTIONS, PAGINATORS

PAGE = (PROJECT / "docs" / "http_api.md").read_text(encoding="utf-8")


def test_the_contract_of_the_page_brings_its_records_in(tmp_path: Path, provider: Provider) -> None:
    blocks = dict(re.findall(r"```(json|yaml)\n(.*?)```", PAGE, flags=re.S))
    document = yaml.safe_load(blocks["yaml"])
    assert document["servers"][0]["location"] == "https://api.example.com/v2/order-lines"
    document["servers"][0]["location"] = provider.url + "order-lines"
    document["name"] = "shop"
    shop = ApiShop(tmp_path, provider.url).with_secrets(service_token="s3cret")
    shop.sign(document)
    first, last = json.loads(blocks["json"]), json.loads(blocks["json"])
    first["meta"]["next_token"] = "more"
    last["data"] = [{**last["data"][0], "order": "A-3"}]
    provider.faults = [text(json.dumps(first).encode()), text(json.dumps(last).encode())]
    report = shop.load()
    assert (report.total("rows_read"), report.total("rows_accepted"), report.unreadable) == (3, 3, {})
    rows = shop.query("SELECT order_id, line_id, CAST(gross_amount AS DOUBLE), email FROM current ORDER BY 1")
    jo = "jo@example.com"
    assert rows == [("A-1", "1", 12.5, jo), ("A-2", "1", 7.9, None), ("A-3", "1", 12.5, jo)]
    provider.faults = [text(b'{"data": [], "meta": {}}')]
    shop.load()
    since = [re.search("changed_since=([^&]*)", path) for path, _ in provider.requests]
    assert [match and match[1] for match in since] == ["2025-01-01T00%3A00%3A00Z"] * 2 + ["2025-03-15T07%3A45%3A00Z"]
    assert all("status=paid&per_page=2" in path for path, _ in provider.requests)
    assert {headers["Authorization"] for _, headers in provider.requests} == {"Bearer s3cret"}


def test_every_option_and_its_default_is_on_the_page() -> None:
    for name in [*OPTIONS, *PAGINATORS, *(option for options in PAGINATORS.values() for option in options)]:
        assert f"`{name}`" in PAGE, name
    server = ApiServer("api", "json")
    assert f"| `pageLimit`, `maxRecords` | {server.page_limit:,}; {server.max_records:,} |" in PAGE
    assert f"| `maxPageMegabytes` | {server.max_page_megabytes} |" in PAGE
    assert f"| `requestTimeout` | {server.request_timeout} |" in PAGE
    assert f"| `retries` | {server.retries} |" in PAGE
