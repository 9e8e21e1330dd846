"""A headless Chromium from the system's packages; without one these tests are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Chromium itself. Playwright's own download is not used: closed networks refuse it."""
    path = shutil.which("chromium", path=f"/usr/bin:{os.environ.get('PATH', '')}")
    if path is None:
        pytest.skip("Chromium is missing: apt-get install -y --no-install-recommends chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page without history; an error of its scripts fails the test."""
    context = chromium.new_context(viewport={"width": 1600, "height": 1000}, timezone_id="UTC", locale="en-GB")
    # Else a dialog that asks a first visitor for an e-mail address covers Dagster's pages.
    # An empty page has no storage, and says so by an error.
    context.add_init_script("if (location.protocol === 'http:') localStorage.setItem('communityNux', '\"1\"')")
    page = context.new_page()
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)  # Dagster asks for the state of the assets one batch after the other
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Folder for the pictures: WATERSHED_SCREENSHOT_DIR if set, else one that pytest throws away."""
    folder = Path(os.environ.get("WATERSHED_SCREENSHOT_DIR") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
