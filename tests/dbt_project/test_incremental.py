"""Law 3: whatever comes, in whatever order and pieces, increments give the tables that a rebuild gives."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from orchestration.dbt_arguments import incremental_models
from tests.dbt_project.histories import History
from tests.dbt_project.lake import write_identity
from tests.dbt_project.project import parsed, run_dbt
from transforms.builds import plan_increments
from transforms.builds.increments import MARKS
from transforms.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dbt_project")]

INPUTS = {"models": "1", "code": "1"}


@dataclass
class Project:
    """A home whose lake grows, and what dbt builds from it."""

    folder: Path

    @property
    def settings(self) -> Settings:
        return Settings(home=self.folder / "home")

    def dbt(self, warehouse: Path, as_of: dt.date, *command: str, **variables: str) -> None:
        """Run a dbt command; fails the test with dbt's own message."""
        place = {"WATERSHED_LAKE_PATH": str(self.settings.lake), "WATERSHED_TIMEZONE": "Europe/Berlin"}
        run_dbt(warehouse, *command, WATERSHED_AS_OF_DATE=as_of.isoformat(), **place, **variables)

    def die_within(self, as_of: dt.date, model: str) -> None:
        """Fail in the last statement of a model's transaction, after its rows have changed, as a kill there would."""
        folder = self.folder / "increments"
        plan_increments(self.settings, incremental_models(parsed().to_dict()), INPUTS, as_of, folder)
        (folder / "contents.json").write_text("no contents\n")
        with pytest.raises(AssertionError, match=model):
            self.dbt(self.settings.warehouse, as_of, "run", "--select", model, WATERSHED_INCREMENTS=str(folder))

    def increment(self, as_of: dt.date, *select: str, inputs: dict[str, str] = INPUTS) -> dict:
        """Continue the warehouse of the home, as the orchestrator does; returns the plan."""
        models = incremental_models(parsed().to_dict())
        folder = self.folder / "increments"
        plan = plan_increments(self.settings, models, inputs, as_of, folder)
        self.dbt(self.settings.warehouse, as_of, *BUILD, *select, WATERSHED_INCREMENTS=str(folder))
        return plan

    def rebuild(self, as_of: dt.date) -> Path:
        """Build everything from nothing."""
        warehouse = self.folder / "rebuilt" / "warehouse.duckdb"
        warehouse.parent.mkdir(exist_ok=True)
        warehouse.unlink(missing_ok=True)
        self.dbt(warehouse, as_of, *BUILD)
        return warehouse


BUILD = ("build", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("increments"))
    History(project.settings.lake, seed=0)
    return project


# These tell of the days that were run, which no rebuild of one day knows.
ABOUT_RUNS = {
    *("intermediate.int_segment_log", "marts.segment_history"),
    *("intermediate.int_rfm_log", "intermediate.int_rfm_rule_log", "intermediate.int_purchase_owner_log"),
    *("intermediate.int_segments_before", "intermediate.int_segment_candidates", "intermediate.int_segment_steps"),
    "marts.segment_changes",
}
CHANGES = {"marts.segment_summary": "EXCLUDE (previous_as_of_date, customers_change, net_revenue_change_amount)"}


def differences(left: Path, right: Path) -> dict[str, list[tuple]]:
    """Rows that only one of two warehouses holds, by table; the marks are about how they came to be."""
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{left}' AS increments (READ_ONLY)")
        con.execute(f"ATTACH '{right}' AS rebuilt (READ_ONLY)")
        tables = con.execute(
            "SELECT database_name, schema_name || '.' || table_name FROM duckdb_tables()"
            " WHERE database_name IN ('increments', 'rebuilt')"
        ).fetchall()
        names = {side: {name for database, name in tables if database == side} for side in ("increments", "rebuilt")}
        compared = {name for name in names["increments"] if not name.endswith(MARKS)}
        assert compared == names["rebuilt"] and "marts.customer_360" in compared
        compared -= ABOUT_RUNS
        found = {}
        for name in sorted(compared):
            here, there = (
                f"(SELECT * {CHANGES.get(name, '')} FROM {side}.{name})" for side in ("increments", "rebuilt")
            )
            rows = con.execute(
                f"(SELECT 'incremented', * FROM ({here} EXCEPT ALL {there}))"
                f" UNION ALL (SELECT 'rebuilt', * FROM ({there} EXCEPT ALL {here}))"
            ).fetchall()
            if rows:
                found[name] = rows
        return found


def follow(project: Project, seed: int, steps: int) -> None:
    """Live through a history; after each step the warehouse must be what a rebuild is."""
    project.settings.warehouse.unlink(missing_ok=True)
    history = History(project.settings.lake, seed)
    told, ways = [], set()
    for step in range(steps):
        told.append(history.step())
        write_identity(history.lake, **history.identities())
        if step % 3 == 2:
            # A run that died after one of its models; more comes before the next one.
            project.increment(history.as_of, "--select", f"+{DIES_AFTER[seed % 3]}")
            # Another one died in the midst of one.
            project.die_within(history.as_of, DIES_AFTER[(seed + 1) % 3])
            told += [["killed"], history.step()]
            write_identity(history.lake, **history.identities())
        plan = project.increment(history.as_of)
        ways |= {way for entities in plan.values() for way in entities.values()}
        assert differences(project.settings.warehouse, project.rebuild(history.as_of)) == {}, told
    assert ways >= {"added", "rebuilt"}, "a history without one of them proves little"


DIES_AFTER = ("int_event_spells", "int_identity_sightings", "int_order_parts")


def test_increments_give_what_a_rebuild_gives(project: Project) -> None:
    """The days of this history also stand still and go back."""
    follow(project, seed=2, steps=6)
