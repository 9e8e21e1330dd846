"""Run the dbt project on a lake, in the two parts between which identity resolution works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tests.dbt_project import story
from tests.dbt_project.lake import Row, write_identity

DBT_PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
IDENTIFIERS = ("email", "phone", "loyalty_id", "device_id", "app_user_id", "payment_token")


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
            AssertionError: a model or a test failed; the message is dbt's output.
        """
        scratch = self.warehouse.parent / "dbt"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("WATERSHED_", "DBT_"))}
        settings: Mapping[str, object] = {
            "lake_path": str(self.lake),
            "as_of_date": story.AS_OF.isoformat(),
            "business_timezone": story.BUSINESS_TIMEZONE,
        }
        done = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("dbt")), "--no-use-colors", command, *arguments),
                *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
                *("--target-path", str(scratch), "--log-path", str(scratch)),
                *("--vars", json.dumps(settings | variables)),
            ],
            env=inherited | {"WATERSHED_WAREHOUSE": str(self.warehouse)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]

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
