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
# What identifiers said at the last build, beside int_customers_reached.
ASSIGNMENTS = "__assignments"


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

    def die_at_the_end(self, as_of: dt.date, model: str, *select: str) -> None:
        """Fail where a model would say what it stands for; its rows have changed in the same transaction."""
        marks, aside = f"intermediate.{model}{MARKS}", f"{model}_aside"
        with duckdb.connect(str(self.settings.warehouse)) as con:
            con.execute(f"ALTER TABLE {marks} RENAME TO {aside}; CREATE VIEW {marks} AS FROM intermediate.{aside}")
        with pytest.raises(AssertionError, match=model):
            self.increment(as_of, *select)
        with duckdb.connect(str(self.settings.warehouse)) as con:
            con.execute(f"DROP VIEW {marks}; ALTER TABLE intermediate.{aside} RENAME TO {model}{MARKS}")

    def rows(self, sql: str) -> list[tuple]:
        """Result of a query on the warehouse."""
        with duckdb.connect(str(self.settings.warehouse)) as con:
            return con.execute(sql).fetchall()

    def rebuild(self, as_of: dt.date, *select: str) -> Path:
        """Build everything from nothing."""
        warehouse = self.folder / "rebuilt" / "warehouse.duckdb"
        warehouse.parent.mkdir(exist_ok=True)
        warehouse.unlink(missing_ok=True)
        self.dbt(warehouse, as_of, *BUILD, *select)
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
    "intermediate.int_customers_reached",
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
        compared = {name for name in names["increments"] if not name.endswith((MARKS, ASSIGNMENTS))}
        assert compared == names["rebuilt"]
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
        rebuilt = project.rebuild(history.as_of)
        assert differences(project.settings.warehouse, rebuilt) == {}, told
    assert project.rows("SELECT count(*) > 1 FROM marts.customer_360") == [(True,)]
    assert ways >= {"added", "rebuilt"}, "a history without one of them proves little"


DIES_AFTER = ("int_event_spells", "int_identity_sightings", "int_order_parts")


def test_increments_give_what_a_rebuild_gives(project: Project) -> None:
    """The days of this history also stand still and go back."""
    follow(project, seed=2, steps=6)


UP_TO_THE_JOURNEY = ("--select", "+customer_journey_history")
# Where a customer's rows can be told from what they would be if they were made anew: a column that nothing reads.
MARKABLE = {
    "intermediate.fct_orders": "store_id",
    "intermediate.fct_sessions": "entry_campaign",
    "intermediate.int_store_visits": "store_type",
    "marts.customer_timeline": "source",
    "intermediate.int_journey_evidence": "evidence_id",
}
# Customers of identifiers that stand on an order together with those of one of two customers.
WITH_AN_ORDER_OF = """
    WITH said AS (FROM intermediate.int_customers_reached__assignments),
    owners AS (FROM intermediate.int_order_parts JOIN said USING (identity_key))
    SELECT DISTINCT other.customer_id FROM owners JOIN owners AS other USING (source, order_id)
    WHERE owners.customer_id IN ('{}', '{}')
"""


def test_only_who_is_reached_is_made_anew(project: Project) -> None:
    """Late rows, days that come, customers who part and come together, runs that die: all without a rebuild."""
    warehouse = project.settings.warehouse
    warehouse.unlink(missing_ok=True)
    history = History(project.settings.lake, seed=5, only_grows=True)
    told, counts = [], []
    for step in range(5):
        told += [history.step(), history.doubt() if step else ""]
        write_identity(history.lake, **history.identities())
        if step == 2:
            project.increment(history.as_of, "--select", "+int_customers_reached")
            told += [["killed"], history.step(), history.doubt()]
            write_identity(history.lake, **history.identities())
            project.die_at_the_end(history.as_of, "fct_sessions", *UP_TO_THE_JOURNEY)
        project.increment(history.as_of, *UP_TO_THE_JOURNEY)
        counts += project.rows("SELECT reached_id FROM intermediate.int_customers_reached WHERE reached_type = 'build'")
        said = {(row["identity_key"], row["customer_id"]) for row in history.identities()["assignments"]}
        remembered = project.rows("FROM intermediate.int_customers_reached__assignments")
        assert len(remembered) == len(said) and set(remembered) == said, told
        rebuilt = project.rebuild(history.as_of, *UP_TO_THE_JOURNEY)
        assert differences(warehouse, rebuilt) == {}, told
    assert len(set(counts)) == 1, "everything was made in full, which proves nothing"

    for table, column in MARKABLE.items():
        project.rows(f"UPDATE {table} SET {column} = 'left alone'")
    joined = history.join()
    write_identity(history.lake, **history.identities())
    project.increment(history.as_of, *UP_TO_THE_JOURNEY)
    reached = {min(joined), *(customer for (customer,) in project.rows(WITH_AN_ORDER_OF.format(*joined)))}
    for table, column in MARKABLE.items():
        made = project.rows(f"SELECT DISTINCT customer_id FROM {table} WHERE {column} IS DISTINCT FROM 'left alone'")
        left = project.rows(f"SELECT DISTINCT customer_id FROM {table} WHERE {column} = 'left alone'")
        assert {customer for (customer,) in made} - {None} <= reached, table
        assert left and not {customer for (customer,) in left} & set(joined), table
