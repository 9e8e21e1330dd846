"""Dagster's pages: start the web server for a module, wait for it, open the asset graph."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Locator, Page, expect

from transforms.settings import PROJECT_DIR

_LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries { loadStatus locationOrLoadError {
    __typename ... on PythonError { message } } } } } }"""
_ASSETS = "{ assetNodes { groupName assetKey { path } dependencyKeys { path } } }"


@dataclass(frozen=True)
class WebServer:
    """A running ``dagster-webserver`` on the loopback address."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def query(self, query: str) -> dict[str, Any]:
        """Ask the server's GraphQL interface."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", "/graphql", json.dumps({"query": query}), {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def assets(self) -> list[dict[str, Any]]:
        """Every asset as the server knows it: groupName, assetKey.path, dependencyKeys."""
        return self.query(_ASSETS)["assetNodes"]


def free_port() -> int:
    """A port of the loopback address on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def dagster_webserver(module: str, home: Path, log: Path, timeout_seconds: float = 300) -> Iterator[WebServer]:
    """Serve the definitions of ``module`` for the installation in ``home`` until the block ends.

    Fails with the server's own words when it dies, and with the Python error when the module does not load.
    """
    instance = home / "dagster"
    instance.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PROJECT_DIR / "orchestration" / "dagster.yaml", instance / "dagster.yaml")
    port = free_port()
    command = [Path(sys.executable).with_name("dagster-webserver"), "-h", "127.0.0.1", "-p", str(port), "-m", module]
    environment = os.environ | {"WATERSHED_HOME": str(home), "DAGSTER_HOME": str(instance)}
    with log.open("w") as stream:
        # In a session of its own: the code server is a child of the web server, and goes with it.
        process = subprocess.Popen(
            command, cwd=PROJECT_DIR, env=environment, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        server = WebServer(port)
        wait_until_loaded(server, process, log, timeout_seconds)
        yield server
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_loaded(server: WebServer, process: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    """Wait for the pages and the definitions behind them."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the web server ended:\n{log.read_text()}"
        try:
            entries = server.query(_LOCATIONS)["workspaceOrError"]["locationEntries"]
        except (OSError, http.client.HTTPException):
            entries = []
        if entries and all(entry["loadStatus"] == "LOADED" for entry in entries):
            errors = [entry["locationOrLoadError"].get("message") for entry in entries]
            assert errors == [None] * len(errors), "\n".join(map(str, errors))
            return
        time.sleep(0.5)
    raise AssertionError(f"the web server has not loaded the module in {seconds:g} s:\n{log.read_text()}")


def open_asset_graph(page: Page, server: WebServer, selection: str = "") -> Locator:
    """Open the graph of all assets, its groups folded, or that of a selection; returns it when it is drawn."""
    page.goto(f"{server.url}/asset-groups" + (f"~{quote(selection, safe='')}" if selection else ""))
    expect(page.get_by_text("Global asset lineage")).to_be_visible()
    expect(page.get_by_role("button", name="Materialize all")).to_be_enabled()
    graph = page.locator("svg[class*=AssetGraphExplorer]")
    expect(graph.locator("foreignObject").first).to_be_visible()
    return graph


def arrows_of(graph: Locator) -> Locator:
    """The arrows that are drawn in the graph."""
    return graph.locator("path[marker-end]")
