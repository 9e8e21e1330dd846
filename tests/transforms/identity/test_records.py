from __future__ import annotations

from pathlib import Path

import duckdb

from transforms.identity.records import find_records
from transforms.sql import scratch_connection

from .town import Town, seen


def named(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, bool]]:
    """Records found, and whether they hold identifiers."""
    return connection.execute("SELECT record_id, identity_key IS NOT NULL FROM named_records ORDER BY ALL").fetchall()


def test_what_was_looked_for_is_told_again_without_the_warehouse(tmp_path: Path) -> None:
    town = Town(tmp_path)
    town.know({"crm:1": seen("crm", email="a@x.com"), "crm:2": None, "till:1": seen("till", email="b@x.com")})
    with scratch_connection(town.settings) as connection:
        find_records(connection, town.settings.warehouse, ["crm:1", "crm:9"])
        assert named(connection) == [("crm:1", True)]
        find_records(connection, town.settings.warehouse, ["crm:2", "crm:9", "till:1"])
        assert named(connection) == [("crm:2", False), ("till:1", True)]
        gone = tmp_path / "none.duckdb"
        find_records(connection, gone, ["till:1", "crm:1", "crm:9", "crm:1"])
        assert named(connection) == [("crm:1", True), ("till:1", True)]
        find_records(connection, gone, [])
        assert named(connection) == []
