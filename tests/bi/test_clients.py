"""Every client reads the right values, cannot write, keeps its publication while open and finds the next one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.bi.conftest import Start
from tests.bi.environments import HERE, node_environment, python_environment
from tests.bi.publications import QUESTION, Publisher
from tests.bi.talking import Client

pytestmark = pytest.mark.bi

# Environment, script, version that must answer.
PYTHON_CLIENTS = [
    pytest.param("duckdb-1.4", "duckdb_python", "1.4.0", id="duckdb-1.4"),
    pytest.param("duckdb-2.0", "duckdb_python", "2.0.0", id="duckdb-2.0"),
    pytest.param("duckdb-engine", "sqlalchemy_engine", "1.4.54", id="duckdb-engine"),
    pytest.param("duckdb-sqlalchemy", "sqlalchemy_engine", "2.1.9", id="duckdb-sqlalchemy"),
    pytest.param("pandas", "pandas_frame", "3.1.1", id="pandas"),
    pytest.param("polars", "polars_frame", "2.1.0", id="polars"),
]


def script(start: Start, publisher: Publisher, environment: str, name: str) -> Callable[[], Client]:
    """Starts a client written in Python, as often as it is called."""
    python = python_environment(environment) / "python"
    return lambda: start(python, HERE / "clients" / f"{name}.py", publisher.path, QUESTION)


def check(begin: Callable[[], Client], publisher: Publisher, version: str, can_reopen: bool = True) -> None:
    """What holds for every client."""
    client = begin()
    first = publisher.published[-1].answer()
    assert client.ask("version") == version
    assert client.ask("read") == first
    assert client.ask("comment") == publisher.comment("customer_360", "segment")
    refused = client.ask("write")
    assert refused is not None and "read-only" in refused

    second = publisher.publish().answer()

    assert client.ask("read") == first, "an open connection left the publication that it had begun with"
    assert begin().ask("read") == second
    if can_reopen:
        assert client.ask("reopen") == second
    assert second["customers"] == first["customers"] + 1 and second["as_of"] > first["as_of"]


@pytest.mark.parametrize(("environment", "name", "version"), PYTHON_CLIENTS)
def test_a_python_client(publisher: Publisher, start: Start, environment: str, name: str, version: str) -> None:
    check(script(start, publisher, environment, name), publisher, version)


@pytest.mark.parametrize("environment", ["duckdb-1.4", "duckdb-2.0"])
def test_a_process_shares_what_it_has_open(publisher: Publisher, start: Start, environment: str) -> None:
    """Why threads of one server may see the old publication a while longer, and what refreshes for sure."""
    client = script(start, publisher, environment, "duckdb_python")()
    first = client.ask("read")
    second = publisher.publish().answer()
    assert client.ask("beside") == first
    attached = client.ask("attached")
    if environment == "duckdb-1.4":
        assert "Unique file handle conflict" in attached  # mended in 1.5
    else:
        assert attached == second
    assert client.ask("reopen") == second


def test_harlequin(publisher: Publisher, start: Start) -> None:
    """It keeps its connection as long as it runs: who wants the new publication starts it again."""
    begin = script(start, publisher, "harlequin", "harlequin_app")
    check(begin, publisher, "2.17.0", can_reopen=False)


def test_node(publisher: Publisher, start: Start) -> None:
    node, folder = node_environment()
    check(lambda: start(node, folder / "client.mjs", publisher.path, QUESTION), publisher, "v1.5.6")


@pytest.mark.parametrize("environment", ["duckdb-engine", "duckdb-sqlalchemy"])
def test_sqlalchemy_sees_tables_and_types(publisher: Publisher, start: Start, environment: str) -> None:
    """And with NullPool, as BI tools use it, each question is answered from the newest publication."""
    client = script(start, publisher, environment, "sqlalchemy_engine")()
    assert {"customer_360", "segment_summary", "publication", "calendar"} <= set(client.ask("tables"))
    types = client.ask("types")
    assert types["as_of_date"] == "DATE" and types["net_revenue_amount"] == "NUMERIC(18, 2)"
    assert types["first_seen_at"] == "TIMESTAMP" and types["is_multi_channel"] == "BOOLEAN"
    for _ in range(3):
        truth = publisher.publish()
        assert client.ask("fresh") == truth.answer()
