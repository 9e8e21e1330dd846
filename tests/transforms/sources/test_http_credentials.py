"""Who sees what: secrets go to the contract's host, and nobody else is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.transforms.sources.api_shop import ApiShop, elsewhere, numbers, order, refusal
from tests.transforms.sources.provider import Provider, reset, status, text


def sent(provider: Provider, name: str) -> list[str | None]:
    return [headers.get(name) for _, headers in provider.requests]


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"type": "bearer", "token": "crm"}, "Authorization", "Bearer s3cret"),
        ({"type": "api_key", "api_key": "crm", "name": "X-Api-Key"}, "X-Api-Key", "s3cret"),
        ({"type": "http_basic", "username": "user", "password": "crm"}, "Authorization", "Basic am86czNjcmV0"),
    ],
)
def test_secrets_go_to_the_contracts_host_and_nowhere_else(
    shop: Callable[..., ApiShop], provider: Provider, auth: dict[str, str], header: str, value: str
) -> None:
    stranger = Provider()
    stranger.records = provider.records = [order(1)]
    away = status(302, Location=stranger.url + "single_page")
    home = status(307, Location=provider.url + "single_page")
    provider.faults = [home, away]
    shop = shop("single_page", auth=auth, headers={"X-Tenant": "shop"}).with_secrets(crm="s3cret", user="jo")
    assert numbers(shop.pull()[0]) == [1]
    stranger.close()
    assert sent(provider, header) == [value, value] and sent(provider, "X-Tenant") == ["shop", "shop"]
    assert sent(stranger, header) == [None] and sent(stranger, "X-Tenant") == [None]
    assert "s3cret" not in str(stranger.requests)


def test_a_next_link_to_a_stranger_carries_no_secret(shop: Callable[..., ApiShop], provider: Provider) -> None:
    stranger = Provider()
    stranger.faults = [text(b'{"data": [{"order": "2"}], "@odata.nextLink": null}')]
    page = {"data": [{"order": "1"}], "@odata.nextLink": stranger.url + "x"}
    provider.faults = [text(json.dumps(page).encode())]
    auth = {"type": "api_key", "api_key": "crm", "name": "key", "location": "query"}
    lines, _ = shop("json_link", auth=auth).with_secrets(crm="s3cret").pull()
    stranger.close()
    assert numbers(lines) == [1, 2]
    assert [path for path, _ in provider.requests] == ["/json_link?key=s3cret"]
    assert "s3cret" not in str(stranger.requests)


def test_a_key_in_the_query_is_in_no_message(
    shop: Callable[..., ApiShop], provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    auth = {"type": "api_key", "api_key": "crm", "name": "key", "location": "query"}
    shop = shop(auth=auth, retries=1).with_secrets(crm="s3 cret/")
    provider.faults = [reset, reset]
    assert "s3" not in refusal(shop)
    provider.faults = [status(404, "no /x?key=s3%20cret%2F here")]
    assert "no /x?key=*** here" in refusal(shop)
    provider.close()
    assert "s3" not in refusal(shop)
    watched = [record for record in caplog.records if not record.name.startswith("urllib3")]
    assert "s3" not in "".join(record.getMessage() for record in watched)


def test_a_long_secret_in_a_long_answer_is_not_shown(shop: Callable[..., ApiShop], provider: Provider) -> None:
    provider.faults = [status(400, f"bad token {'s3cret' * 500} given"), text(f"<p>{'s3cret' * 500}".encode())]
    shop = shop(auth={"type": "bearer", "token": "crm"}, retries=0).with_secrets(crm="s3cret" * 500)
    assert "HTTP 400: bad token *** given;" in refusal(shop)
    assert "'<p>***'" in refusal(shop)


def test_the_line_end_of_a_secret_is_dropped_and_one_inside_refused(
    shop: Callable[..., ApiShop], provider: Provider
) -> None:
    provider.records = [order(1)]
    shop = shop("cursor", auth={"type": "bearer", "token": "crm"})
    shop.with_secrets(crm="s3cret\n").pull()
    assert sent(provider, "Authorization") == ["Bearer s3cret"]
    message = refusal(shop.with_secrets(crm="s3\ncret"))
    assert "the secret 'crm' holds a line break" in message and "s3" not in message


def test_a_secret_that_is_not_set_is_named(shop: Callable[..., ApiShop]) -> None:
    message = refusal(shop(auth={"type": "bearer", "token": "crm_token"}))
    assert "set WATERSHED_SECRETS__CRM_TOKEN" in message


def test_plain_http_beyond_loopback_is_refused(shop: Callable[..., ApiShop], provider: Provider) -> None:
    provider.faults = [status(302, Location="http://192.0.2.1/x")]
    assert "it leads to 192.0.2.1 in plain http" in refusal(shop())
    provider.faults = [status(302, Location="file:///etc/passwd")]
    assert "leads to no http(s) URL" in refusal(shop())


def test_redirects_end(shop: Callable[..., ApiShop], provider: Provider) -> None:
    provider.faults = [status(302, Location=f"/page_number/{number}") for number in range(9)]
    assert "more than 5 redirects" in refusal(shop())


_WATCHED_PULL = """
import datetime, io, json
asked, written = [], []
def watch(event, given):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        asked.append(given[1][0] if event == "socket.connect" else given[0])
    elif event in ("os.mkdir", "os.rename") or event == "open" and str(given[1])[:1] in "wax":
        written.append(str(given[0]))
sys.addaudithook(watch)
from transforms.sources import deliveries
assert not {"dlt", "tenacity"} & set(sys.modules)
(pull,) = deliveries(contract, settings, None, datetime.datetime.now(datetime.UTC))
assert not {"dlt", "tenacity"} & set(sys.modules)
pull.write(io.BytesIO())
print(json.dumps({"asked": asked, "written": written, "dlt": "dlt" in sys.modules}))
"""


def test_nobody_else_is_asked_and_nothing_is_written(
    shop: Callable[..., ApiShop], provider: Provider, tmp_path: Path
) -> None:
    """dlt reports its use and keeps ~/.dlt; here it does neither. A password in ~/.netrc stays there, too.

    Contracts and the list of deliveries do without dlt: Dagster loads them in every process, dlt takes a second.
    """
    provider.records = [order(number) for number in range(3)]
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / ".netrc").write_text("machine 127.0.0.1 login jo password s3cret\n")
    provider.faults = [status(307, Location="/page_number?page=1")]  # requests looks into ~/.netrc for each hop
    shop()
    process = elsewhere(_WATCHED_PULL, tmp_path)
    seen = json.loads(process.communicate(timeout=60)[0])
    assert process.returncode == 0 and seen["dlt"] and len(provider.requests) == 4
    assert set(seen["asked"]) == {"127.0.0.1"} and set(seen["written"]) <= {"/dev/null"}
    assert [path.name for name in ("here", "user") for path in (tmp_path / name).iterdir()] == [".netrc"]
    assert sent(provider, "Authorization") == [None] * 4
