"""Run the dbt project on a lake, in the two parts between which identity resolution works."""

from __future__ import annotations

import functools
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from orchestration.dbt_parse import prepare_manifest
from orchestration.dbt_run import parsed_project, spare_unread_events
from orchestration.warehouse import environment as changed_environment
from tests.dbt_project import story
from tests.dbt_project.lake import Row, write_identity
from transforms.settings import Settings

DBT_PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
# A day and a lake that nothing else names, so that they can be told apart in compiled text.
ANY_DAY = "1804-02-29"
ANY_LAKE = "/any/lake"
IDENTIFIERS = ("email", "phone", "loyalty_id", "device_id", "app_user_id", "payment_token")


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Only these variables of ours; dbt takes the environment as it is when a command begins."""
    with changed_environment({}):
        for name in [name for name in os.environ if name.startswith(("WATERSHED_", "DBT_"))]:
            del os.environ[name]
        os.environ.update(variables)
        yield


@functools.cache
def parsed() -> Manifest:
    """The project as every run takes it up; parsed once, whatever the lakes and warehouses of the tests."""
    spare_unread_events()
    with tempfile.TemporaryDirectory() as folder:
        return parsed_project(prepare_manifest(Settings(home=Path(folder))).with_name("partial_parse.msgpack"))


def run_dbt(warehouse: Path, command: str, *arguments: str, **variables: str) -> Any:
    """Run a dbt command in this very process, with these environment variables; returns its results.

    Raises:
        AssertionError: a model or a test failed; the message is dbt's.
    """
    scratch = warehouse.parent / "dbt"
    scratch.mkdir(parents=True, exist_ok=True)
    with environment(WATERSHED_WAREHOUSE=str(warehouse), **variables):
        result = dbtRunner(manifest=parsed()).invoke(
            [
                *("--quiet", "--no-write-json", "--log-level-file", "none", "--no-use-colors", command, *arguments),
                *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
                *("--target-path", str(scratch), "--log-path", str(scratch)),
            ]
        )
    # The end of a process would close the file.
    DuckDBConnectionManager.close_all_connections()
    outcomes = getattr(result.result, "results", [])
    failed = [f"{item.node.name}: {item.message}" for item in outcomes if item.status in {"error", "fail", "skipped"}]
    assert result.success, result.exception or failed
    return result.result


def compiled(*select: str, lake: str = ANY_LAKE, timezone: str = "UTC", tables: str = "") -> dict[str, str]:
    """SQL of the selected models by name, for ``ANY_DAY`` and this lake.

    ``tables`` is SQL that makes what the warehouse holds before.
    """
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Path(folder, "warehouse.duckdb")
        with duckdb.connect(str(warehouse)) as connection:
            connection.execute(tables or "SELECT 1")
        place = {"WATERSHED_LAKE_PATH": lake, "WATERSHED_TIMEZONE": timezone, "WATERSHED_AS_OF_DATE": ANY_DAY}
        results = run_dbt(warehouse, "compile", "--select", *select, **place).results
    models = [item.node for item in results if item.node.resource_type == "model"]
    return {node.name: node.compiled_code for node in models}


@dataclass(frozen=True)
class Build:
    """A built warehouse and the lake that it was built from."""

    lake: Path
    warehouse: Path

    def rows(self, sql: str) -> list[tuple]:
        """Result of a query on the warehouse, read-only."""
        with duckdb.connect(str(self.warehouse), read_only=True) as con:
            return con.execute(sql).fetchall()

    def record(self, sql: str) -> dict[str, object]:
        """The one row of a query, by column."""
        with duckdb.connect(str(self.warehouse), read_only=True) as con:
            cursor = con.execute(sql)
            names = [column[0] for column in cursor.description or []]
            (row,) = cursor.fetchall()
            return dict(zip(names, row, strict=True))

    def dbt(self, command: str, *arguments: str, **variables: object) -> None:
        """Run dbt as the orchestrator does.

        Raises:
            AssertionError: a model or a test failed; the message is dbt's.
        """
        settings: Mapping[str, object] = {
            "lake_path": str(self.lake),
            "as_of_date": story.AS_OF.isoformat(),
            "business_timezone": story.BUSINESS_TIMEZONE,
        }
        run_dbt(self.warehouse, command, *arguments, "--vars", json.dumps(settings | variables))

    def resolve(self, owners: Mapping[str, str]) -> None:
        """Stand in for identity resolution: give each observed combination to the owner of its identifiers."""
        observed = self.rows(
            f"SELECT identity_key, source, first_seen_at, last_seen_at, records, {', '.join(IDENTIFIERS)}"
            " FROM intermediate.int_identity_observations"
        )
        assignments: list[Row] = []
        identifiers: dict[tuple[str, str], dict[str, object]] = {}
        for key, source, first_seen, last_seen, records, *values in observed:
            held = {kind: value for kind, value in zip(IDENTIFIERS, values, strict=True) if value in owners}
            for customer in sorted({owners[value] for value in held.values()})[:1]:
                assignments.append({"identity_key": key, "customer_id": customer})
            for kind, value in held.items():
                seen = identifiers.setdefault(
                    (kind, value),
                    {
                        "identifier_type": kind,
                        "identifier_value": value,
                        "identifier_key": f"key-{value}",
                        "identifier_masked": f"{value[0]}***",
                        "customer_id": owners[value],
                        "status": "linked",
                        "first_seen_at": first_seen,
                        "last_seen_at": last_seen,
                        "sources": "",
                        "records": 0,
                    },
                )
                seen["first_seen_at"] = min(seen["first_seen_at"], first_seen)  # pyright: ignore
                seen["last_seen_at"] = max(seen["last_seen_at"], last_seen)  # pyright: ignore
                seen["sources"] = ",".join(sorted({source, *filter(None, str(seen["sources"]).split(","))}))
                seen["records"] = int(str(seen["records"])) + records
        write_identity(self.lake, assignments=assignments, identifiers=list(identifiers.values()))


def build(build: Build, command: str = "build", arguments: Sequence[str] = (), **variables: object) -> Build:
    """Run everything before identity resolution, resolve, and run everything after it."""
    build.dbt(command, *arguments, "--select", "+int_identity_observations", **variables)
    build.resolve(story.OWNERS)
    build.dbt(command, *arguments, "--exclude", "+int_identity_observations", **variables)
    return build
