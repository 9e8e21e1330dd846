"""What an incremental table may keep, decided from what it stands for and what the lake holds."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.builds import Contents, next_step, plan_increments
from transforms.settings import Settings

DAY = dt.date(2025, 6, 30)
contents = st.builds(
    Contents,
    basis=st.sampled_from(["models 1", "models 2"]),
    as_of=st.sampled_from([DAY, DAY + dt.timedelta(1), DAY + dt.timedelta(2)]),
    batches=st.frozensets(st.sampled_from("abc")),
)


@given(contents, contents, st.booleans())
def test_rows_are_added_only_where_none_can_have_gone(before: Contents, now: Contents, has_history: bool) -> None:
    step = next_step(before, now, has_history)
    grown = before.basis == now.basis and before.batches <= now.batches and before.as_of <= now.as_of
    if before == now:
        assert step == "same"
    elif grown and not has_history:
        assert step == "added"
    else:
        assert step == "rebuilt"


@given(contents, st.booleans())
def test_a_table_that_stands_for_nothing_known_is_rebuilt(now: Contents, has_history: bool) -> None:
    assert next_step(None, now, has_history) == "rebuilt"


TABLES = {"spells": ["app_events"], "sightings": ["app_events", "profiles", "reviews"]}
INPUTS = {"day": "whatever", "lake": "whatever", "models": "1"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A lake with two batches of events, and profiles of which one was replaced."""
    settings = Settings(home=tmp_path)
    for batch in ("app_events/app/b1", "app_events/app/b2", "profiles/crm/p1", "app_events/_none/_none"):
        (settings.lake / batch).mkdir(parents=True)
    (settings.lake / "profiles" / "crm" / "p1" / "superseded.parquet").touch()
    (settings.lake / "app_events" / "_none" / "_none" / "superseded.parquet").touch()
    return settings


def plan(settings: Settings, day: dt.date = DAY, inputs: dict[str, str] = INPUTS) -> dict:
    plan_increments(settings, TABLES, inputs, day, settings.home / "plan")
    return json.loads((settings.home / "plan" / "plan.json").read_text())


def remember(settings: Settings, model: str) -> None:
    """Write the marks of a model, as dbt does."""
    source = f"read_json('{settings.home}/plan/contents.json', columns = {{entity: 'VARCHAR', batch: 'VARCHAR',"
    source += " basis: 'VARCHAR', as_of_date: 'DATE'})"
    with duckdb.connect(str(settings.warehouse)) as con:
        wanted = ", ".join(f"'{entity}'" for entity in TABLES[model])
        con.execute(f"CREATE OR REPLACE TABLE {model}__contents AS FROM {source} WHERE entity IN ({wanted})")


def test_the_plan_follows_what_each_table_stands_for(settings: Settings) -> None:
    first = plan(settings)
    assert {what["step"] for entities in first.values() for what in entities.values()} == {"rebuilt"}
    remember(settings, "sightings")
    second = plan(settings)
    assert {entity: what["step"] for entity, what in second["sightings"].items()} == dict.fromkeys(
        TABLES["sightings"], "same"
    )
    assert second["spells"]["app_events"]["step"] == "rebuilt", "it died before this one"
    (settings.lake / "app_events" / "app" / "b3").mkdir()
    third = plan(settings, DAY + dt.timedelta(1))["sightings"]
    assert third["app_events"] == {"step": "added", "batches": ["b3"], "after": "2025-06-30"}
    assert third["profiles"]["step"] == "rebuilt", "as of another day other versions count"
    assert third["reviews"] == {"step": "added", "batches": [], "after": "2025-06-30"}


def test_other_models_and_a_wish_rebuild_everything(settings: Settings) -> None:
    plan(settings)
    remember(settings, "sightings")
    changed = plan(settings, inputs=INPUTS | {"models": "2"})["sightings"]
    asked = plan(settings.model_copy(update={"rebuild": True}))["sightings"]
    for steps in (changed, asked):
        assert {what["step"] for what in steps.values()} == {"rebuilt"}
