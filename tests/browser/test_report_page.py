"""The pages for people, as they look on a desk and in a hand.

Pictures go to WATERSHED_SCREENSHOT_DIR; WATERSHED_SCREENSHOT_HOME names an installation that has run, whose pages they
show.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.transforms.publishing.report.published import Company, settings_with
from tests.transforms.publishing.report.valued import ValuedCompany, settings_with_value
from transforms.publishing.report import write_report
from transforms.publishing.report.value import write_value_report
from transforms.settings import Settings

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser")]


@pytest.mark.parametrize(
    ("name", "width", "height", "scheme"), [("report", 1280, 1240, "light"), ("report-phone", 360, 1240, "dark")]
)
def test_the_report_fits_and_asks_for_nothing(
    chromium: Browser, screenshots: Path, tmp_path: Path, name: str, width: int, height: int, scheme: str
) -> None:
    home = os.environ.get("WATERSHED_SCREENSHOT_HOME")
    settings = Settings(home=Path(home)) if home else settings_with(tmp_path, Company())
    file = write_report(settings).latest
    requests: list[str] = []
    complaints: list[str] = []
    page = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))

    page.goto(file.as_uri())
    page.screenshot(path=screenshots / f"{name}.png")

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.get_by_role("heading", level=2).all_inner_texts() == [
        "Segments",
        "Value",
        "Journey",
        "Channels",
        "Data behind it",
        "About this publication",
    ]
    assert page.get_by_role("table").count() >= 5
    page.close()
    assert requests == [file.as_uri()] and complaints == []


@pytest.mark.parametrize(
    ("name", "width", "height", "scheme"), [("value", 1280, 1500, "light"), ("value-phone", 360, 1240, "dark")]
)
def test_the_page_on_value_fits_and_asks_for_nothing(
    chromium: Browser, screenshots: Path, tmp_path: Path, name: str, width: int, height: int, scheme: str
) -> None:
    home = os.environ.get("WATERSHED_SCREENSHOT_HOME")
    settings = Settings(home=Path(home)) if home else settings_with_value(tmp_path, ValuedCompany())
    file = write_value_report(settings).latest
    requests: list[str] = []
    complaints: list[str] = []
    page = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))

    page.goto(file.as_uri())
    page.screenshot(path=screenshots / f"{name}.png")
    if name == "value":
        page.evaluate("document.getElementById('backtest').scrollIntoView()")
        page.screenshot(path=screenshots / f"{name}-backtest.png")

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.get_by_role("heading", level=2).all_inner_texts() == [
        "Segment map",
        "Moves between segments",
        "What customers are worth",
        "How good the forecast was",
        "Retention",
        "Model card",
        "About this publication",
    ]
    # Each chart is an image with a name, and its figures fold out.
    assert page.get_by_role("img").count() >= 5
    page.get_by_text("Figures", exact=True).first.click()
    assert page.get_by_role("table").count() >= 5
    page.close()
    assert requests == [file.as_uri()] and complaints == []
