"""Contracts of PostgreSQL tables: a fault has file, line and remedy before anything is asked of a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.transforms.lake.shop import contract_document
from transforms.contracts import ContractError, PostgresServer, load_contracts
from transforms.contracts.servers.postgres import Overlap
from transforms.settings import Settings

GOOD = {"user": "watershed", "password": "shop_database", "cursorColumn": "updated_at", "overlap": "15m"}


def build(
    folder: Path, mode: str = "upsert", server: dict[str, Any] | None = None, **properties: Any
) -> PostgresServer:
    document = contract_document()
    node = {"server": "shop", "type": "postgres", "host": "db", "port": 5432, "database": "shop", "schema": "sales"}
    given = {name: value for name, value in {**GOOD, **properties}.items() if value is not None}
    node["customProperties"] = [{"property": name, "value": value} for name, value in given.items()]
    document["servers"] = [node | (server or {})]
    document["schema"][0]["physicalName"] = "Order Lines"
    document["schema"][0]["customProperties"].append({"property": "loadMode", "value": mode})
    (folder / "shop.odcs.yaml").write_text(yaml.safe_dump(document, sort_keys=False, width=1000))
    built = load_contracts(Settings().entities, folder).sources["shop"].server
    assert isinstance(built, PostgresServer)
    return built


def test_a_table_of_a_server(tmp_path: Path) -> None:
    server = build(tmp_path, statementTimeout="30m")
    assert (server.type, server.format) == ("postgres", "parquet")
    assert (server.host, server.port, server.database, server.schema) == ("db", 5432, "shop", "sales")
    assert (server.table, server.user, server.password) == ("Order Lines", "watershed", "shop_database")
    assert (server.cursor, server.overlap, server.statement_timeout) == ("updated_at", Overlap(900, True), 1800)
    assert server.sslmode == "require"


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        ("90s", Overlap(90, True)),
        ("2h", Overlap(7200, True)),
        ("1d", Overlap(86400, True)),
        (500, Overlap(500, False)),
        ("0", Overlap(0, False)),
    ],
)
def test_overlaps(tmp_path: Path, overlap: Any, expected: Overlap) -> None:
    assert build(tmp_path, "append", overlap=overlap).overlap == expected


def test_the_other_cursors(tmp_path: Path) -> None:
    assert build(tmp_path, cursorColumn="xmin", overlap=None).cursor == "xmin"
    assert build(tmp_path, "snapshot", cursorColumn=None, overlap=None).cursor is None
    assert build(tmp_path, server={"type": "postgresql"}).type == "postgres"


# Load mode, properties; what the message says; what stands in the line that it names.
FAULTS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "property misspelt": ("upsert", {"curserColumn": "x"}, "Did you mean 'cursorColumn'?", "curserColumn"),
    "no user": ("upsert", {"user": None}, "Add the server property 'user'", "- server: shop"),
    "unknown sslmode": ("upsert", {"sslmode": "yes"}, "Use one of disable, allow", "sslmode"),
    "a password instead of its name": ("upsert", {"password": "hunter-2"}, "WATERSHED_SECRETS__", "password"),
    "timeout": ("upsert", {"statementTimeout": "soon"}, "such as 30s, 15m or 2h", "statementTimeout"),
    "timeout of nothing": ("upsert", {"statementTimeout": "0s"}, "such as 30s, 15m or 2h", "statementTimeout"),
    "overlap": ("upsert", {"overlap": "15 minutes"}, "a duration such as 15m, 2h or 1d", "overlap"),
    "overlap below nothing": ("upsert", {"overlap": -5}, "a duration such as 15m, 2h or 1d", "overlap"),
    "cursor without overlap": ("append", {"overlap": None}, "such as 'overlap: 15m'", "cursorColumn"),
    "overlap of a snapshot": ("snapshot", {"cursorColumn": None}, "Leave 'overlap' out", "overlap"),
    "overlap of xmin": ("upsert", {"cursorColumn": "xmin"}, "Leave 'overlap' out", "overlap"),
    "cursor and snapshot": ("snapshot", {}, "Leave 'cursorColumn' out", "cursorColumn"),
    "neither": ("append", {"cursorColumn": None, "overlap": None}, "'loadMode: snapshot'", "- server: shop"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_names_line_and_remedy(tmp_path: Path, case: str) -> None:
    mode, properties, remedy, at = FAULTS[case]
    with pytest.raises(ContractError) as caught:
        build(tmp_path, mode, **properties)
    (problem,) = caught.value.problems
    assert remedy in problem.remedy
    lines = (tmp_path / "shop.odcs.yaml").read_text().splitlines()
    assert str(problem).startswith(f"{tmp_path}/shop.odcs.yaml:{problem.line}: ")
    assert at in lines[problem.line - 1]
    assert "hunter-2" not in str(problem)


@pytest.mark.parametrize(
    "server", [{"port": 0}, {"port": 70000}, {"port": "five"}, {"host": ""}, {"database": ""}], ids=str
)
def test_a_server_that_cannot_be_one(tmp_path: Path, server: dict[str, Any]) -> None:
    with pytest.raises(ContractError) as caught:
        build(tmp_path, server=server)
    assert next(iter(server)) in str(caught.value)
