"""What a person sees who opens Dagster: the way of the data from the sources to the published file.

Pictures go to WATERSHED_SCREENSHOT_DIR; WATERSHED_SCREENSHOT_HOME names an installation that has run, so that they
show its state.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from .dagster_pages import WebServer, arrows_of, dagster_webserver, open_asset_graph

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser")]

GROUPS = {"sources", "lake", "staging", "identity", "intermediate", "marts", "publication"}
MARTS = {
    "customer_360",
    "customer_identifiers",
    "customer_timeline",
    "customer_rfm",
    "rfm_cut_points",
    "customer_clv",
    "customer_journey",
    "customer_journey_history",
    "segment_summary",
    "journey_funnel",
    "channel_summary",
    "load_audit",
}


@pytest.fixture(scope="module")
def dagster(tmp_path_factory: pytest.TempPathFactory, chromium: object) -> Iterator[WebServer]:
    """The project's definitions, served; after Chromium, so that nothing starts where it is missing."""
    folder = tmp_path_factory.mktemp("dagster")
    home = Path(os.environ.get("WATERSHED_SCREENSHOT_HOME") or folder / "home").absolute()
    with dagster_webserver("orchestration.definitions", home, folder / "webserver.log") as server:
        yield server


def test_the_graph_leads_from_the_sources_to_the_publication(dagster: WebServer, page: Page, screenshots: Path) -> None:
    assets = dagster.assets()
    group_of = {tuple(asset["assetKey"]["path"]): asset["groupName"] for asset in assets}
    arrows = {
        (group_of[upstream], asset["groupName"])
        for asset in assets
        for key in asset["dependencyKeys"]
        if (upstream := tuple(key["path"])) in group_of and group_of[upstream] != asset["groupName"]
    }
    assert set(group_of.values()) >= GROUPS

    graph = open_asset_graph(page, dagster)

    for group in set(group_of.values()):
        expect(graph.get_by_text(group, exact=True)).to_be_visible()
    expect(arrows_of(graph)).to_have_count(len(arrows))
    page.screenshot(path=screenshots / "asset-graph.png")


def test_every_mart_stands_in_the_graph_with_its_checks(dagster: WebServer, page: Page, screenshots: Path) -> None:
    marts = {asset["assetKey"]["path"][-1] for asset in dagster.assets() if asset["groupName"] == "marts"}
    assert marts >= MARTS

    graph = open_asset_graph(page, dagster, 'group:"marts"')

    for mart in marts:
        expect(page.get_by_text(mart, exact=True).first).to_be_visible()
    expect(graph.get_by_text("Loading...")).to_have_count(0)
    page.screenshot(path=screenshots / "asset-graph-marts.png")

    # Of many nodes the page draws those in view.
    page.goto(f"{dagster.url}/asset-groups~" + quote('key:"marts/customer_360"', safe=""))
    customers = graph.locator("foreignObject").filter(has_text="customer_360").first
    expect(customers).to_contain_text("Asset checks")
    expect(customers).to_contain_text("Passed")
