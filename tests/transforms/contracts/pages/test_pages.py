"""Pages of contracts: complete, harmless, and of use without a network."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.transforms.contracts.diff.contracts import changed, column, entity_document, source_document
from transforms.contracts import load_contracts
from transforms.contracts.pages import write_pages
from transforms.settings import Settings

EVIL = "<script>alert('x')</script><img src=x onerror=\"alert(1)\">"


class Page(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def written(folder: Path, entity: dict[str, Any], source: dict[str, Any], models: Path | None = None) -> dict[str, str]:
    """Pages of the two contracts, by file name."""
    for name, document in (("entities", entity), ("sources", source)):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "one.odcs.yaml").write_text(yaml.safe_dump(document, sort_keys=False, width=1000))
    contracts = load_contracts(folder / "entities", folder / "sources")
    index = write_pages(contracts, models or folder / "models", folder / "pages")
    assert index == folder / "pages" / "index.html"
    return {path.name: path.read_text() for path in (folder / "pages").iterdir()}


def words(page: str) -> str:
    return re.sub(r"\s+", " ", Page(page).text)


def test_a_source_page_says_all_that_the_contract_says(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["description"] = {"purpose": "Orders of the shop.", "limitations": "No cash."}
        document["team"] = {"name": "shop-team", "members": [{"username": "ann@example.com", "role": "owner"}]}
        column(document, "order_id")["examples"] = ["A-17"]
        column(document, "channel")["transformDescription"] = "W is the web shop."
        document["schema"][0]["quality"] = [
            {
                "name": "no_till",
                "type": "custom",
                "engine": "watershed",
                "description": "Tills send their own.",
                "implementation": "raw.till is null",
            },
            {"name": "enough", "type": "library", "metric": "rowCount", "mustBeGreaterThan": 10},
        ]

    page = words(written(tmp_path, entity_document(), changed(source_document(), change))["source-shop.html"])
    for text in (
        "Orders of the shop.",
        "No cash.",
        "shop-team",
        "ann@example.com, owner",
        "version 1.0.0",
        "A-17",
        "case kind when 'W' then 'web' else 'store' end",
        "W is the web shop.",
        "written dd.MM.yyyy HH:mm",
        "clock of Europe/Berlin",
        "delimiter ;",
        "append: every row is new",
        "a file at least every 2 days",
        "stops all above 20 %",
        "raw.till is null",
        "Tills send their own.",
        "quantity > 0 or channel = 'store'",
        "number of rows must be greater than 10",
        "Null in every row of this source: email, note.",
    ):
        assert text in page, text


def test_an_entity_page_says_all_that_the_contract_says(tmp_path: Path) -> None:
    page = words(written(tmp_path, entity_document(), source_document())["entity-orders.html"])
    for text in ("order_id key 1", "DECIMAL(18,3)", "≥ 0", "≤ 100", "at most 10 characters", "matches ^[a-z]+$"):
        assert text in page, text
    for text in ("personal_data identifier restricted", "Where it was sold.", "sold_something", "shop"):
        assert text in page, text


def test_pages_name_the_marts_that_read_the_entity(tmp_path: Path) -> None:
    models = tmp_path / "models"
    for path, text in {
        "staging/stg_orders.sql": "select * from {{ source('lake', 'orders') }}",
        "intermediate/fct_orders.sql": "select * from {{ ref('stg_orders') }} -- {{ ref('stg_visits') }}",
        "marts/value/customer_value.sql": "{# ref('stg_visits') #} select * from {{ ref( \"fct_orders\" ) }}",
        "staging/stg_visits.sql": "select * from {{ source('lake', 'visits') }}",
        "marts/customer_visits.sql": "select * from {{ ref('stg_visits') }}",
    }.items():
        (models / path).parent.mkdir(parents=True, exist_ok=True)
        (models / path).write_text(text)
    pages = written(tmp_path, entity_document(), source_document(), models)
    for name in ("entity-orders.html", "source-shop.html"):
        assert "customer_value" in pages[name] and "customer_visits" not in pages[name]


def test_every_link_leads_to_a_page(tmp_path: Path) -> None:
    contracts = load_contracts(Settings().entities, Settings().contracts)
    write_pages(contracts, Settings().dbt_project / "models", tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert len(names) == 1 + len(contracts.entities) + len(contracts.sources)
    for path in tmp_path.iterdir():
        page = Page(path.read_text())
        assert set(page.links) <= names, path.name
        assert not re.search(r"url\(|@import|https?://", path.read_text()), path.name
        assert "script" not in page.tags
    assert "customer_360" in (tmp_path / "entity-transactions.html").read_text()
    assert names - {"index.html"} <= set(Page((tmp_path / "index.html").read_text()).links)


def evil_everywhere(node: Any, key: str = "") -> Any:
    """The document with a script in each text that people write."""
    free = {
        "description",
        "purpose",
        "usage",
        "limitations",
        "username",
        "role",
        "domain",
        "physicalName",
        "businessName",
    }
    free |= {"transformDescription", "dataGranularityDescription", "tags", "examples", "id", "version", "path"}
    if isinstance(node, dict):
        return {name: evil_everywhere(value, name) for name, value in node.items()}
    if isinstance(node, list):
        return [evil_everywhere(value, key) for value in node]
    return EVIL if key in free else node


def test_a_contract_is_foreign_text(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document.update(
            description=dict.fromkeys(("purpose", "usage", "limitations"), "x"),
            domain="x",
            tags=["x"],
            team={"name": EVIL, "members": [{"username": "x", "role": "x", "description": "x"}]},
        )
        document["schema"][0].update(description="x", dataGranularityDescription="x")
        for node in document["schema"][0]["properties"]:
            node.update(description="x", examples=["x"], transformDescription="x")

    entity = evil_everywhere(changed(entity_document(), change))
    entity["schema"][0]["name"] = EVIL
    column(entity, "channel")["enum"] = [{"value": EVIL, "description": EVIL}]
    column(entity, "channel")["logicalTypeOptions"]["pattern"] = EVIL
    entity["schema"][0]["quality"][0]["name"] = EVIL
    source = evil_everywhere(changed(source_document(), change))
    source["schema"][0]["customProperties"][0]["value"] = EVIL
    column(source, "channel").update(
        transformLogic=f"'{EVIL.replace(chr(39), chr(39) * 2)}'", transformSourceObjects=[EVIL]
    )
    pages = written(tmp_path, entity, source)
    assert {path.parent for path in (tmp_path / "pages").iterdir()} == {tmp_path / "pages"} and len(pages) == 3
    for name, text in pages.items():
        page = Page(text)
        assert EVIL in page.text, name
        assert not {"script", "img"} & set(page.tags), name
        assert not [key for key, _ in page.attributes if key.startswith("on")], name
        assert "<script" not in text, name


def test_names_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    entity = entity_document()
    entity["schema"][0]["name"] = "../../orders"
    source = source_document()
    source["schema"][0]["customProperties"][0]["value"] = "../../orders"
    pages = written(tmp_path, entity, source)
    assert sorted(re.sub(r"-[0-9a-f]{8}", "-#", name) for name in pages) == [
        "entity-______orders-#.html",
        "index.html",
        "source-shop.html",
    ]


def test_pages_of_contracts_that_are_gone_go_and_others_stay(tmp_path: Path) -> None:
    written(tmp_path, entity_document(), source_document())
    (tmp_path / "pages" / "source-mine.html").write_text("<p>written by hand")
    renamed = changed(source_document(), lambda d: d.update(name="store"))
    assert set(written(tmp_path, entity_document(), renamed)) == {
        "entity-orders.html",
        "index.html",
        "source-mine.html",
        "source-store.html",
    }


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280])
def test_a_page_fits_its_screen(tmp_path: Path, width: int) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    contracts = load_contracts(Settings().entities, Settings().contracts)
    write_pages(contracts, Settings().dbt_project / "models", tmp_path)
    requests: list[str] = []
    widths: dict[str, int] = {}

    def look() -> None:
        with sync_api.sync_playwright() as playwright:
            try:
                browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            except sync_api.Error as error:
                pytest.skip(f"no Chromium: {error}")
            page = browser.new_page(viewport={"width": width, "height": 800})
            page.on("request", lambda request: requests.append(request.url))
            for file in sorted(tmp_path.iterdir()):
                page.goto(file.as_uri())
                widths[file.name] = page.evaluate("document.documentElement.scrollWidth")
            browser.close()

    # In a thread of its own: other tests leave an event loop behind in this one, which Playwright does not suffer.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(look).result()
    assert widths and {name: found for name, found in widths.items() if found > width} == {}
    assert all(url.startswith("file://") for url in requests)
