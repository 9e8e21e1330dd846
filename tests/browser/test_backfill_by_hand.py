"""A backfill as a person starts it: in Dagster's pages, with the mouse, behind the service that ``watershed serve`` is.

Takes four minutes of a processor, and stands outside of ``make test``: ``make test-long``.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from playwright.sync_api import Page, expect

from orchestration.days import HISTORY
from orchestration.pipeline import dagster_home
from tests.conftest import PROJECT
from tests.orchestration.conftest import Installation, installed
from transforms.contracts import load_contracts
from transforms.lake.as_of import last_day_in_lake

from .dagster_pages import WebServer, free_port, wait_until_loaded

pytestmark = [pytest.mark.long, pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser")]

DAYS = 3
# The logs of the days that were run, and what readers see of them.
TABLES = (
    *(f"intermediate.int_{name}_log" for name in ("segment", "rfm", "rfm_rule", "purchase_owner")),
    "marts.segment_history",
    "marts.customer_journey_history",
)


@contextmanager
def served(installation: Installation, log: Path) -> Iterator[WebServer]:
    """The service over a home; told to stop in the end, it must stop in order."""
    port = free_port()
    environment = os.environ | {
        "WATERSHED_HOME": str(installation.settings.home),
        "WATERSHED_CONTRACTS": str(installation.settings.contracts),
        "WATERSHED_LINKAGE": str(installation.settings.linkage),
    }
    command = [sys.executable, "-m", "orchestration.cli", "serve", "--port", str(port)]
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=stream, stderr=subprocess.STDOUT)
    try:
        server = WebServer(port)
        wait_until_loaded(server, process, log, 300)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0, log.read_text()[-3000:]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, chromium: object) -> Installation:
    """After Chromium, so that nothing is run where it is missing."""
    return installed(tmp_path_factory.mktemp("installation"))


def copied(installation: Installation, home: Path) -> Installation:
    shutil.copytree(installation.settings.home, home, symlinks=True)
    settings = installation.settings.model_copy(update={"home": home})
    return Installation(settings, installation.company, installation.first)


def succeeds(installation: Installation, *words: str) -> None:
    process = installation.command(*words)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-3000:]


def differences(left: Path, right: Path) -> dict[str, list[tuple]]:
    """Rows that only one of two warehouses holds, by table."""
    found = {}
    with duckdb.connect() as connection:
        for name, path in (("clicked", left), ("typed", right)):
            connection.execute(f"ATTACH '{path}' AS {name} (READ_ONLY)")
        for table in TABLES:
            assert connection.execute(f"SELECT count(*) > 0 FROM clicked.{table}").fetchone() == (True,), table
            rows = connection.execute(
                f"(FROM clicked.{table} EXCEPT ALL FROM typed.{table})"
                f" UNION ALL (FROM typed.{table} EXCEPT ALL FROM clicked.{table})"
            ).fetchall()
            if rows:
                found[table] = rows
    return found


def test_days_that_a_person_chose_on_the_page_are_told_as_by_the_command(
    installation: Installation, page: Page, screenshots: Path, tmp_path: Path
) -> None:
    clicked, typed = copied(installation, tmp_path / "clicked"), copied(installation, tmp_path / "typed")
    settings = clicked.settings
    last = last_day_in_lake(settings, load_contracts(settings.entities, settings.contracts))
    assert last
    days = [str(last - dt.timedelta(number)) for number in reversed(range(DAYS))]

    with served(clicked, tmp_path / "serve.log") as server:
        page.goto(server.url)
        page.get_by_role("link", name="Catalog").click()
        page.get_by_role("link", name="history / segments").first.click()
        page.get_by_role("button", name="Materialize").first.click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Show all partitions").click()
        chosen = dialog.get_by_placeholder("ex: ")
        chosen.fill(f"[{days[0]}...{days[-1]}]")
        chosen.press("Enter")
        expect(dialog).to_contain_text(f"{DAYS} partitions")
        expect(dialog).to_contain_text("Backfills all partitions in a single run")
        page.screenshot(path=screenshots / "backfill.png")
        dialog.get_by_role("button", name="Launch backfill").click()
        expect(dialog).to_have_count(0)
        page.get_by_role("link", name="Runs").click()
        row = page.locator("[class*=RunsFeedRow_rowGrid]").filter(has_text=f"{DAYS} partitions")
        expect(row).to_contain_text("history / segments")
        expect(row).to_contain_text("Success", timeout=300_000)
        page.screenshot(path=screenshots / "backfill-done.png")
        # A page that is open asks on, and there will be nobody to answer.
        page.goto("about:blank")

    with dg.DagsterInstance.from_config(str(dagster_home(settings))) as instance:
        assert instance.get_materialized_partitions(HISTORY) == set(days)
        (run,) = (run for run in instance.get_runs() if run.tags.get("dagster/backfill"))
        assert run.status == dg.DagsterRunStatus.SUCCESS
    # As docs/backfill.md says: the next daily run publishes what was told.
    succeeds(clicked, "run")
    succeeds(typed, "backfill", "--from", days[0], "--to", days[-1])
    assert differences(settings.warehouse, typed.settings.warehouse) == {}
