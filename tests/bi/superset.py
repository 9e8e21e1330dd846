"""A Superset of one's own: installed, set up and served on a free port, asked through its API as its pages ask it."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.bi.environments import python_environment

# What docs/bi.md tells people to type into the connection's form.
EXTRA = {"engine_params": {"connect_args": {"read_only": True}}}
_CONFIG = """
SECRET_KEY = {key!r}
SQLALCHEMY_DATABASE_URI = "sqlite:///{home}/superset.db?check_same_thread=false&timeout=60"
TALISMAN_ENABLED = False
RATELIMIT_ENABLED = False
"""


class SupersetError(Exception):
    """An answer of the API that is none: status and text."""


class Superset:
    """A signed-in administrator."""

    def __init__(self, url: str, password: str, log: Path) -> None:
        self._url, self._log = url, log
        self._session = requests.Session()
        login = {"username": "admin", "password": password, "provider": "db", "refresh": True}
        token = self._post("security/login", login)["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"
        csrf = self.get("security/csrf_token/")["result"]
        self._session.headers.update({"X-CSRFToken": csrf, "Referer": url})

    def connect(self, path: Path) -> int:
        """Save a connection to a published file, after the form's own test of it; returns its id."""
        form = {"database_name": f"Watershed {uuid.uuid4()}", "sqlalchemy_uri": f"duckdb:///{path}"}
        form["extra"] = json.dumps(EXTRA)
        self._post("database/test_connection/", form)
        # Allowed to write on purpose: what refuses must be the file.
        return self._post("database/", form | {"expose_in_sqllab": True, "allow_dml": True})["id"]

    def dataset(self, database: int, table: str) -> int:
        """Make a dataset of a table; returns its id."""
        return self._post("dataset/", {"database": database, "schema": "marts", "table_name": table})["id"]

    def remove_dataset(self, dataset: int) -> None:
        """Remove a dataset: on SQLite, Superset has one of a name, whatever its database."""
        self._answer(self._session.delete(f"{self._url}/api/v1/dataset/{dataset}", timeout=60))

    def columns(self, dataset: int) -> dict[str, dict[str, Any]]:
        """Columns of a dataset by name, with type and description."""
        return {entry["column_name"]: entry for entry in self.get(f"dataset/{dataset}")["result"]["columns"]}

    def sql(self, database: int, sql: str) -> list[dict[str, Any]]:
        """Rows of a query in SQL Lab."""
        body = {"database_id": database, "schema": "marts", "sql": sql, "runAsync": False, "queryLimit": 1000}
        answer = self._post("sqllab/execute/", body | {"client_id": uuid.uuid4().hex[:10]})
        return answer["data"]

    def chart(self, dataset: int, columns: list[str], metrics: dict[str, str]) -> list[dict[str, Any]]:
        """Rows of a chart: metrics are SQL by label."""
        adhoc = [{"expressionType": "SQL", "sqlExpression": sql, "label": label} for label, sql in metrics.items()]
        query = {"columns": columns, "metrics": adhoc, "orderby": [], "row_limit": 1000}
        body = {"datasource": {"id": dataset, "type": "table"}, "queries": [query], "result_format": "json"}
        (result,) = self._post("chart/data", body | {"result_type": "full"})["result"]
        if result["error"] or result["is_cached"]:
            raise SupersetError(f"error {result['error']}, cached: {result['is_cached']}")
        return result["data"]

    def get(self, path: str) -> Any:
        return self._answer(self._session.get(f"{self._url}/api/v1/{path}", timeout=60))

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self._answer(self._session.post(f"{self._url}/api/v1/{path}", json=body, timeout=60))

    def _answer(self, response: requests.Response) -> Any:
        if not response.ok:
            told = [line for line in self._log.read_text().splitlines() if "Error" in line]
            raise SupersetError(f"{response.status_code}: {response.text[:2000]} {told[-3:]}")
        return response.json()


@contextmanager
def served(home: Path) -> Iterator[Superset]:
    """Set up a Superset in ``home``, serve it with three workers of one thread each, and sign in.

    Threads of a process share what DuckDB has open: a question that begins while another one, begun before a
    publication, still runs in the same worker would be answered from the old file.
    """
    commands = python_environment("superset")
    home.mkdir()
    (home / "superset_config.py").write_text(_CONFIG.format(key=secrets.token_urlsafe(48), home=home))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("WATERSHED_", "DBT_", "PYTHON"))},
        "SUPERSET_HOME": str(home),
        "SUPERSET_CONFIG_PATH": str(home / "superset_config.py"),
        "FLASK_APP": "superset",
    }
    password = secrets.token_urlsafe(12)
    person = ("--username", "admin", "--firstname", "A", "--lastname", "B", "--email", "admin@example.com")
    for step in (("db", "upgrade"), ("fab", "create-admin", *person, "--password", password), ("init",)):
        done = subprocess.run(
            [commands / "superset", *step], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"superset {' '.join(step[:2])}: {done.stderr[-3000:]}"
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    address = f"127.0.0.1:{port}"
    workers = ("--workers", "3", "--worker-class", "sync", "--timeout", "120")
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(
            [commands / "gunicorn", *workers, "--bind", address, "--no-control-socket", "superset.app:create_app()"],
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            _wait(f"http://{address}/health", server, home / "server.log")
            yield Superset(f"http://{address}", password, home / "server.log")
        finally:
            server.terminate()
            server.wait(30)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(120):
        assert server.poll() is None, log.read_text()[-3000:]
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.RequestException:  # not listening yet, or busy with its start
            pass
        time.sleep(1)
    raise AssertionError(f"Superset does not answer:\n{log.read_text()[-3000:]}")
