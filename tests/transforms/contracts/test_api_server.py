"""Contracts of HTTP APIs: a fault has file, line and remedy before anything is asked of a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.transforms.sources.api_shop import api_document
from transforms.contracts import ApiServer, ContractError, load_contracts
from transforms.contracts.servers.api_options import parse_path
from transforms.settings import Settings

URL = "https://api.example.com/v1/orders"
SINCE = {"cursorParam": "since", "cursorPath": "updated_at"}


def build(folder: Path, url: str = URL, **options: Any) -> ApiServer:
    text = yaml.safe_dump(api_document(url, **options), sort_keys=False, width=1000)
    (folder / "shop.odcs.yaml").write_text(text)
    server = load_contracts(Settings().entities, folder).sources["shop"].server
    assert isinstance(server, ApiServer)
    return server


FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    # options, what the message says, what stands in the line that it names
    "option misspelt": ({"dataSelektor": "data"}, "Did you mean 'dataSelector'?", "dataSelektor"),
    "unknown option": ({"zzz": 1}, "there is no option 'zzz' here. Known: allowHttp, auth", "zzz"),
    "unknown paginator": ({"paginator": "page_numbers"}, "Did you mean 'page_number'?", "page_numbers"),
    "paginator of another kind": ({"paginator": 3}, "there is no paginator '3'. Known: cursor", "value: 3"),
    "paginator option misspelt": (
        {"paginator": {"type": "page_number", "total_pages": "pages"}},
        "Did you mean 'total_path'?",
        "total_pages",
    ),
    "option of another paginator": (
        {"paginator": {"type": "header_link", "cursor_path": "next"}},
        "Known: links_next_key.",
        "cursor_path",
    ),
    "option for a single page": (
        {"paginator": {"type": "single_page", "limit": 5}},
        "there is no option 'limit' here. Leave it out.",
        "limit: 5",
    ),
    "limit missing": ({"paginator": "offset"}, "the paginator 'offset' needs 'limit'", "property: paginator"),
    "limit of zero": ({"paginator": {"type": "offset", "limit": 0}}, "limit cannot be 0. Give a whole", "limit: 0"),
    "cursor path missing": (
        {"paginator": {"type": "cursor", "cursor_param": "c"}},
        "needs 'cursor_path'. Give a path",
        "property: paginator",
    ),
    "wildcard": ({"dataSelector": "data[*].attributes"}, "no wildcards", "property: dataSelector"),
    "unknown auth": ({"auth": {"type": "baerer", "token": "t"}}, "Did you mean 'bearer'?", "baerer"),
    "auth without secret": ({"auth": "bearer"}, "the auth 'bearer' needs 'token'. Give the name", "property: auth"),
    "a secret instead of its name": (
        {"auth": {"type": "bearer", "token": "eyJhbGciOi.JIUzI1NiJ9"}},
        "Give the name of a secret: its value stands in WATERSHED_SECRETS__<NAME>",
        "token:",
    ),
    "key in a cookie": (
        {"auth": {"type": "api_key", "api_key": "k", "location": "cookie"}},
        "Use header or query",
        "location: cookie",
    ),
    "secret parameter": ({"params": {"status": "paid", "api_key": "x"}}, "'api_key' under params", "api_key: x"),
    "secret header": ({"headers": {"Authorization": "Bearer x"}}, "'Authorization' under headers", "Authorization"),
    "nested parameter": ({"params": {"filter": {"a": 1}}}, "Give names with one text", "property: params"),
    "header of two lines": ({"headers": {"X-Shop": "a\nb"}}, "on one line", "property: headers"),
    "half a cursor": ({"cursorParam": "since"}, "cursorParam without cursorPath", "property: cursorParam"),
    "overlap alone": ({"overlap": "1h"}, "overlap without cursorParam and cursorPath", "property: overlap"),
    "overlap without unit": ({**SINCE, "overlap": 15}, "Give a span such as 15m", "property: overlap"),
    "overlap of numbers": (
        {**SINCE, "cursorType": "number", "overlap": "1h"},
        "overlap cannot be '1h' for a cursor of type number. Give a number",
        "property: overlap",
    ),
    "overlap of texts": ({**SINCE, "cursorType": "text", "overlap": 1}, "Leave it out", "property: overlap"),
    "initial value": ({**SINCE, "initialValue": "yesterday"}, "'yesterday' is no timestamp", "property: initialValue"),
    "cursor type": ({**SINCE, "cursorType": "date"}, "Use one of timestamp, number, text", "property: cursorType"),
    "page limit": ({"pageLimit": 0}, "pageLimit cannot be 0", "property: pageLimit"),
    "retries": ({"retries": -1}, "retries cannot be -1", "property: retries"),
    "timeout": ({"requestTimeout": True}, "requestTimeout cannot be True", "property: requestTimeout"),
    "rate": ({"requestsPerSecond": 0}, "Give a number above 0", "property: requestsPerSecond"),
    "flag": ({"allowHttp": "yes please"}, "Give true or false", "property: allowHttp"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_names_line_and_remedy(tmp_path: Path, case: str) -> None:
    options, message, named = FAULTS[case]
    with pytest.raises(ContractError) as caught:
        build(tmp_path, **options)
    (problem,) = caught.value.problems
    assert message in str(problem)
    assert named in (tmp_path / "shop.odcs.yaml").read_text().splitlines()[problem.line - 1]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://api.example.com/x", "is no http(s) URL"),
        ("orders.json", "is no http(s) URL"),
        ("https://", "is no http(s) URL"),
        ("http://api.example.com/x", "asked in plain text"),
        ("http://127.0.0.1.example.com/x", "asked in plain text"),
        ("https://jo:s3cret@api.example.com/x", "holds a user or a password"),
        ("https://api.example.com/x?token=1", "Put constant parameters under params"),
        ("https://[::1/x", "is no URL"),
        ("https://api.example.com:99999/x", "is no URL"),
    ],
)
def test_locations_that_are_refused(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(ContractError, match=message.replace("(", r"\(").replace(")", r"\)")) as caught:
        build(tmp_path, url)
    (problem,) = caught.value.problems
    assert "location:" in (tmp_path / "shop.odcs.yaml").read_text().splitlines()[problem.line - 1]


@pytest.mark.parametrize("url", ["http://localhost:8000/x", "http://[::1]/x", "http://127.0.0.1/x"])
def test_plain_http_is_for_loopback_or_by_consent(tmp_path: Path, url: str) -> None:
    assert build(tmp_path, url).location == url
    assert build(tmp_path, "http://erp.intern/x", allowHttp=True).allow_http


def test_an_option_twice_is_refused(tmp_path: Path) -> None:
    document = api_document(URL, retries=1)
    document["servers"][0]["customProperties"] *= 2
    (tmp_path / "shop.odcs.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ContractError, match="'retries' stands here twice"):
        load_contracts(Settings().entities, tmp_path)


def test_what_a_contract_says_is_what_the_server_holds(tmp_path: Path) -> None:
    server = build(
        tmp_path,
        paginator={"type": "offset", "limit": 100, "total_path": "meta.'total count'"},
        params={"status": "paid", "deleted": False, "page_token_count": 3},
        auth={"type": "http_basic", "username": "erp_user", "password": "erp_password"},
        overlap="2h",
        initialValue="2025-01-01",
        **SINCE,
    )
    assert server.options == {"limit": 100, "total_path": ("meta", "total count")}
    assert server.params == {"status": "paid", "deleted": "false", "page_token_count": "3"}
    assert server.auth and (server.auth.username, server.auth.secret) == ("erp_user", "erp_password")
    assert server.incremental and server.incremental.overlap == 7200
    assert server.format == "json"


def test_the_way_of_asking_does_not_change_what_landed_bytes_mean(tmp_path: Path) -> None:
    """Else every landed page would be gated anew for a longer timeout."""
    assert build(tmp_path).reading == build(tmp_path, retries=1, params={"a": "b"}, dataSelector="data").reading


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("$", ()),
        ("data", ("data",)),
        ("$.data.items", ("data", "items")),
        ("'@odata.nextLink'", ("@odata.nextLink",)),
        ('meta."next page"', ("meta", "next page")),
        ("", None),
        ("data..items", None),
        ("data[0]", None),
        ("$.", None),
        ("'open", None),
    ],
)
def test_paths(text: str, keys: tuple[str, ...] | None) -> None:
    assert parse_path(text) == keys
